// NumPy's .npy files: one array a file.
//
//   absl::StatusOr<Tensor> images = ReadNpy("images.npy");
//   if (!images.ok()) return images.status();
//   absl::Status saved = WriteNpy(Softmax(*images), "probabilities.npy");
//
// Element types are those of DType; arrays of others, of objects, of structures, and big-endian
// ones are Unimplemented, with the remedy. Archives (.npz) are not read here.
#ifndef DUET_IO_NPY_H_
#define DUET_IO_NPY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/tensor.h"

namespace duet {

// Reads format versions 1.0 to 3.0. An array in Fortran order is transposed on the way, so that the
// tensor has the array's shape and elements. A damaged or hostile file is DataLoss: the header and
// the size it promises are checked against the file's length before memory is taken.
absl::StatusOr<Tensor> ReadNpy(const std::string& path);

// Writes what numpy.save writes: version 1.0, row-major, little-endian. The file
// is replaced atomically. InvalidArgument for a tensor that has no elements to write (undefined,
// recorded, a variable's handle).
absl::Status WriteNpy(const Tensor& tensor, const std::string& path);

}  // namespace duet

#endif  // DUET_IO_NPY_H_
