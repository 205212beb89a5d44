#include "core/file.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/strings.h"

namespace duet {
namespace {

using ::testing::HasSubstr;

std::string NewFolder(const char* name) {
  const std::string folder = Str(::testing::TempDir(), "/", name);
  ::mkdir(folder.c_str(), 0755);
  return folder;
}

int Entries(const std::string& folder) {
  int n = 0;
  DIR* dir = ::opendir(folder.c_str());
  while (const dirent* entry = ::readdir(dir)) n += entry->d_name[0] != '.';
  ::closedir(dir);
  return n;
}

TEST(FileTest, WritesPartsAndReadsThemBack) {
  const std::string folder = NewFolder("parts"), path = folder + "/a";
  ASSERT_TRUE(WriteFile(path, {"one", "", std::string_view("\0two", 4)}).ok());
  EXPECT_EQ(*ReadFile(path, 100), std::string("one\0two", 7));
  ASSERT_TRUE(WriteFile(path, {}).ok());
  EXPECT_EQ(*ReadFile(path, 0), "");
  EXPECT_EQ(Entries(folder), 1) << "a temporary file is left";
}

TEST(FileTest, ReplacedFileKeepsItsMode) {
  const std::string path = NewFolder("mode") + "/a";
  ASSERT_TRUE(WriteFile(path, {"x"}).ok());
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_TRUE(WriteFile(path, {"y"}).ok());
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(FileTest, FailedWriteLeavesNothing) {
  const std::string folder = NewFolder("failed");
  EXPECT_EQ(WriteFile(folder + "/none/a", {"x"}).code(), absl::StatusCode::kNotFound);
  ::mkdir((folder + "/taken").c_str(), 0755);
  EXPECT_FALSE(WriteFile(folder + "/taken", {"x"}).ok());
  EXPECT_EQ(Entries(folder), 1);
}

TEST(FileTest, RefusesWhatItCannotRead) {
  const std::string folder = NewFolder("refuses");
  EXPECT_EQ(ReadFile(folder + "/none", 10).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadFile(folder, 10).status().message()), HasSubstr("not a regular"));
  EXPECT_EQ(ReadFile("/dev/zero", 10).status().code(), absl::StatusCode::kInvalidArgument);
  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(pipe, 10).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(WriteFile(folder + "/long", {"12345678901"}).ok());
  EXPECT_EQ(ReadFile(folder + "/long", 10).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FileTest, ReadingPastTheEndIsDataLoss) {
  const std::string path = NewFolder("end") + "/a";
  ASSERT_TRUE(WriteFile(path, {"abc"}).ok());
  auto file = InputFile::Open(path);
  ASSERT_TRUE(file.ok());
  char bytes[4];
  EXPECT_TRUE(file->Read(bytes, 2).ok());
  EXPECT_EQ(file->Read(bytes, 2).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace duet
