// The shift: x = z + mu, by the vectors of a column.
#pragma once

#include "network.h"

namespace densiflow {

struct Shift {
  int64_t numbers;  // of a column: one

  int64_t parameters() const { return numbers; }

  Mapped to_base(const float* theta, Vector x) const { return {x - load(theta), all(0.f)}; }

  Mapped to_data(const float* theta, Vector z) const { return {z + load(theta), all(0.f)}; }

  Vector back(float* theta, Vector, Vector dz, Vector) const {
    store(theta, -dz);
    return dz;
  }
};

}  // namespace densiflow

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(densiflow::Shift, xla::ffi::StructMember<int64_t>("numbers"));
