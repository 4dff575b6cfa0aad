// Normal numbers of many random keys: those of jax.random.normal, to rounding.
//
// Number j of a key are the bits that the cipher Threefry makes of j, as a uniform number between -1 and 1, sent through
// the inverse of the error function. Keys stand beside each other in the vectors.
//
// Sources: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3 (Threefry-2x32, 20 rounds);
// Giles 2012, "Approximating the erfinv function", table 5 (single precision).

#include "threads.h"
#include "vectors.h"

namespace densiflow {
namespace {

namespace ffi = xla::ffi;
using Array = ffi::Buffer<ffi::F32>;
using Keys = ffi::Buffer<ffi::U32>;

typedef uint32_t Words __attribute__((vector_size(4 * LANES)));

// Both words of the cipher's text for the counters (0, low), exclusive-ored.
inline Words random_bits(Words key0, Words key1, uint32_t low) {
  constexpr int ROTATIONS[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const Words keys[3] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDA};
  Words a = keys[0], b = keys[1] + low;
#pragma GCC unroll 5
  for (uint32_t group = 0; group < 5; ++group) {
#pragma GCC unroll 4
    for (const int by : ROTATIONS[group % 2]) {
      a += b;
      b = ((b << by) | (b >> (32 - by))) ^ a;
    }
    a += keys[(group + 1) % 3];
    b += keys[(group + 2) % 3] + (group + 1);
  }
  return a ^ b;
}

// From 23 of the bits, every multiple of 2^-22 that is between -1 and 1 and half a step more.
inline Vector uniform(Words bits) {
  constexpr float LEAST = -0.99999994f;
  const Vector shifted = (((Vector)((bits >> 9) | 0x3f800000) - 1.f) * 2.f) + LEAST;
  return shifted > LEAST ? shifted : all(LEAST);
}

template <int COUNT>
inline Vector polynomial(const float (&coefficients)[COUNT], Vector w) {
  Vector p = all(coefficients[0]);
  for (int i = 1; i < COUNT; ++i) p = p * w + coefficients[i];
  return p;
}

inline Vector inverse_error_function(Vector x) {
  constexpr float MIDDLE[] = {2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                              -0.00125372503f, -0.00417768164f, 0.246640727f, 1.50140941f};
  constexpr float TAILS[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                             -0.0076224613f, 0.00943887047f, 1.00167406f, 2.83297682f};
  const Vector w = -logarithm(1.f - rounded(x * x));
  return x * (w < 5.f ? polynomial(MIDDLE, w - 2.5f) : polynomial(TAILS, square_root(w) - 3.f));
}

constexpr int64_t SIZE = 1 << 14;  // of a piece of work, in numbers

// keys (n, 2) to numbers (n, dim).
ffi::Error normal(ffi::ThreadPool pool, Keys keys, ffi::Result<Array> numbers) {
  const int64_t dim = numbers->dimensions().back(), n = keys.element_count() / 2;
  const int64_t rows = std::max<int64_t>(1, SIZE / std::max<int64_t>(1, dim) / LANES) * LANES;  // of a piece
  in_parallel(pool, (n + rows - 1) / rows, [&](int64_t piece) {
    const int64_t end = std::min(n, (piece + 1) * rows);
    for (int64_t start = piece * rows; start < end; start += LANES) {
      const uint32_t* key = keys.typed_data() + 2 * start;
      float* to = numbers->typed_data() + dim * start;
      const int64_t count = std::min<int64_t>(LANES, end - start);
      Words key0 = {}, key1 = {};
      for (int64_t i = 0; i < count; ++i) key0[i] = key[2 * i], key1[i] = key[2 * i + 1];
      for (int64_t j = 0; j < dim; ++j) {
        const Vector drawn = 1.41421354f * inverse_error_function(uniform(random_bits(key0, key1, j)));
        for (int64_t i = 0; i < count; ++i) to[i * dim + j] = drawn[i];
      }
    }
  });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace densiflow

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    normal, densiflow::normal,
    xla::ffi::Ffi::Bind().Ctx<xla::ffi::ThreadPool>().Arg<densiflow::Keys>().Ret<densiflow::Array>());
