#include "compiler/kernel_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace duet::compiler {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLarge = int64_t{1} << 30;

class KernelCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name() / "below";
    fs::remove_all(folder_);
  }

  std::vector<fs::path> Files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    return files;
  }
  static std::string ReadFile(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void WriteFile(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  fs::path folder_;
};

TEST_F(KernelCacheTest, FindsWhatWasPut) {
  KernelCache cache(folder_, kLarge);
  ASSERT_TRUE(cache.enabled());
  EXPECT_EQ(cache.Find("key"), std::nullopt);
  std::string object("code\0more", 9);
  cache.Put("key", object);
  EXPECT_EQ(cache.Find("key"), object);
  EXPECT_EQ(cache.Find("other key"), std::nullopt);
  EXPECT_EQ(cache.stats().hits, 1);
  EXPECT_EQ(cache.stats().misses, 2);

  KernelCache another(folder_, kLarge);
  EXPECT_EQ(another.Find("key"), object);
  cache.Put("key", "newer");
  EXPECT_EQ(another.Find("key"), "newer");
  EXPECT_EQ(Files().size(), 1) << "no temporary file stays";
}

TEST_F(KernelCacheTest, EmptyKeyAndObject) {
  KernelCache cache(folder_, kLarge);
  cache.Put("", "");
  EXPECT_EQ(cache.Find(""), "");
}

TEST_F(KernelCacheTest, EveryTruncationAndFlippedByteIsAMiss) {
  KernelCache cache(folder_, kLarge);
  cache.Put("the key", "the object");
  const fs::path path = Files().at(0);
  const std::string good = ReadFile(path);
  for (size_t i = 0; i < good.size(); ++i) {
    WriteFile(path, good.substr(0, i));
    EXPECT_EQ(cache.Find("the key"), std::nullopt) << "truncated to " << i;
    EXPECT_FALSE(fs::exists(path));
    std::string bad = good;
    bad[i] ^= 0x40;
    WriteFile(path, bad);
    EXPECT_EQ(cache.Find("the key"), std::nullopt) << "byte " << i;
    EXPECT_FALSE(fs::exists(path));
  }
  WriteFile(path, good + "x");
  EXPECT_EQ(cache.Find("the key"), std::nullopt);
  EXPECT_EQ(cache.stats().damaged, 2 * static_cast<int64_t>(good.size()) + 1);
  cache.Put("the key", "the object");
  EXPECT_EQ(cache.Find("the key"), "the object");
}

TEST_F(KernelCacheTest, EntryOfAnotherKeyIsAMiss) {
  KernelCache cache(folder_, kLarge);
  cache.Put("one", "1");
  const std::string one = ReadFile(Files().at(0));
  fs::remove(Files().at(0));
  cache.Put("two", "2");
  WriteFile(Files().at(0), one);
  EXPECT_EQ(cache.Find("two"), std::nullopt);
  cache.Put("two", "2");
  EXPECT_EQ(cache.Find("two"), "2");
}

TEST_F(KernelCacheTest, NotAFile) {
  KernelCache cache(folder_, kLarge);
  cache.Put("key", "object");
  const fs::path path = Files().at(0);
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_EQ(cache.Find("key"), std::nullopt);
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(cache.Find("key"), std::nullopt) << "and does not wait for a writer";
  cache.Put("key", "object");
  EXPECT_EQ(cache.Find("key"), "object");
}

TEST_F(KernelCacheTest, EvictsTheOldest) {
  KernelCache cache(folder_, 10000);
  const std::string object(900, 'x');
  for (int i = 0; i < 9; ++i) {
    cache.Put("key " + std::to_string(i), object);
    // One day apart, the first the oldest.
    for (const fs::path& path : Files()) {
      fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(24));
    }
  }
  EXPECT_NE(cache.Find("key 0"), std::nullopt);  // young again
  for (int i = 9; i < 12; ++i) cache.Put("key " + std::to_string(i), object);
  EXPECT_NE(cache.Find("key 0"), std::nullopt);
  EXPECT_EQ(cache.Find("key 1"), std::nullopt);
  EXPECT_NE(cache.Find("key 11"), std::nullopt);
  EXPECT_GT(cache.stats().evicted, 0);
  int64_t total = 0;
  for (const fs::path& path : Files()) total += fs::file_size(path);
  EXPECT_LE(total, 10000);

  cache.Put("larger than the cache", std::string(20000, 'x'));
  EXPECT_EQ(cache.Find("larger than the cache"), std::nullopt);
}

TEST_F(KernelCacheTest, OffWithoutAUsableFolder) {
  KernelCache none("", kLarge);
  EXPECT_FALSE(none.enabled());
  none.Put("key", "object");
  EXPECT_EQ(none.Find("key"), std::nullopt);

  KernelCache impossible("/proc/no/such/folder", kLarge);
  EXPECT_FALSE(impossible.enabled());

  fs::create_directories(folder_.parent_path());
  WriteFile(folder_, "a file where the folder should be");
  KernelCache file(folder_, kLarge);
  EXPECT_FALSE(file.enabled());
  fs::remove(folder_);

  KernelCache vanished(folder_, kLarge);
  fs::remove_all(folder_);
  vanished.Put("key", "object");
  EXPECT_EQ(vanished.Find("key"), std::nullopt);
}

TEST_F(KernelCacheTest, ManyWritersAndReaders) {
  KernelCache cache(folder_, 100000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t);
      for (int i = 0; i < 300; ++i) {
        int k = random() % 20;
        std::string key = std::to_string(k);
        std::string object(10000, static_cast<char>('a' + k));
        if (random() % 2) {
          cache.Put(key, object);
        } else if (auto found = cache.Find(key)) {
          EXPECT_EQ(*found, object);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.stats().damaged, 0);
}

}  // namespace
}  // namespace duet::compiler
