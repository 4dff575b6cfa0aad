// The affine scalar map: x = z e^alpha + mu, by the vectors of a column.
#pragma once

#include "network.h"

namespace densiflow {

struct Affine {
  float bound;  // alpha = bound tanh(a / bound) of what the network says, or a itself where it is 0

  int64_t parameters() const { return 2; }

  Mapped to_base(const float* theta, Vector x) const {
    const Vector alpha = log_scale(load(theta + TILE));
    return {(x - load(theta)) * exponential(-alpha), -alpha};
  }

  Mapped to_data(const float* theta, Vector z) const {
    const Vector alpha = log_scale(load(theta + TILE));
    return {z * exponential(alpha) + load(theta), alpha};
  }

  Vector back(float* theta, Vector x, Vector dz, Vector dlog_slope) const {
    const Vector a = load(theta + TILE), squashed = bound > 0 ? hyperbolic_tangent(a / bound) : all(0.f);
    const Vector shrink = exponential(bound > 0 ? -bound * squashed : -a), dx = dz * shrink;
    const Vector z = (x - load(theta)) * shrink;
    store(theta, -dx);
    store(theta + TILE, (-dz * z - dlog_slope) * (1.f - squashed * squashed));
    return dx;
  }

 private:
  Vector log_scale(Vector a) const { return bound > 0 ? bound * hyperbolic_tangent(a / bound) : a; }
};

}  // namespace densiflow

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(densiflow::Affine, xla::ffi::StructMember<float>("bound"));
