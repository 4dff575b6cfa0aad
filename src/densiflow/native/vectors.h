// Vectors of float32 as wide as the machine's, and the functions that a layer needs of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace densiflow {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

inline Vector load(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vector v) { std::memcpy(to, &v, sizeof v); }

// a - 0 is a whatever a is, so it is only loaded; 0 + a would be an addition, for the sake of a = -0.
inline Vector all(float a) { return a - Vector{}; }

// v 2^power for a power in -126 .. 127, which is added to an empty exponent.
inline Vector scaled(Vector v, Integers power) { return v * (Vector)((power + 127) << 23); }

constexpr float ROUNDER = 12582912.f;  // 1.5 * 2^23: nothing after the point is left of what it is added to

// e^x / 2^n for the whole number n nearest to x / log 2, by a polynomial in what is left of x (Cephes, expf).
inline Vector exponential_of_rest(Vector x, Vector n) {
  const Vector r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vector p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r + 1.f;
}

// e^x. It ends in 0 and infinity where float32 does; NaN stays.
inline Vector exponential(Vector x) {
  Vector within = x > 89.f ? all(89.f) : x;
  within = within < -104.f ? all(-104.f) : within;
  const Vector n = (within * 1.44269504f + ROUNDER) - ROUNDER, p = exponential_of_rest(within, n);
  const Integers whole = __builtin_convertvector(n == n ? n : all(0.f), Integers);
  const Integers half = whole >> 1;  // two steps: 2^128 and 2^-150 are beyond one exponent
  return scaled(scaled(p, half), whole - half);
}

// e^x for x <= 0, never below e^-87: so that 2^n is an exponent, in half the steps. NaN stays.
inline Vector decay(Vector x) {
  const Vector within = x < -87.f ? all(-87.f) : x, rounded = within * 1.44269504f + ROUNDER;
  return exponential_of_rest(within, rounded - ROUNDER) * (Vector)(((Integers)rounded << 23) + 0x3f800000);
}

// tanh x: an odd polynomial near 0, where a quotient of exponentials would cancel (Cephes, tanhf).
inline Vector hyperbolic_tangent(Vector x) {
  const Vector size = x < 0.f ? -x : x, square = x * x;
  Vector p = all(-5.70498872745e-3f);
  p = p * square + 2.06390887954e-2f;
  p = p * square + -5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square + -3.33332819422e-1f;
  const Vector near = x + x * (square * p);
  const Vector small = decay(-2.f * size), far = (1.f - small) / (1.f + small);
  return size < 0.625f ? near : (x < 0.f ? -far : far);
}

// 2 artanh t for |t| <= 1/3, by its series: what is left out is below 2e-8 of it.
inline Vector twice_artanh(Vector t) {
  const Vector square = t * t;
  Vector p = all(2.f / 13);
  p = p * square + 2.f / 11;
  p = p * square + 2.f / 9;
  p = p * square + 2.f / 7;
  p = p * square + 2.f / 5;
  p = p * square + 2.f / 3;
  return t * 2.f + t * (square * p);
}

// log(1 + u) for u in 0 .. 1, of which nothing is lost for a small u.
inline Vector logarithm_beside_one(Vector u) { return twice_artanh(u / (2.f + u)); }

// log x of a positive number that is not subnormal: x = 2^n m with m from sqrt(1/2) to sqrt 2. NaN stays.
inline Vector logarithm(Vector x) {
  const Integers bits = (Integers)x, power = (bits - 0x3f3504f3) >> 23;  // the bits of sqrt(1/2)
  const Vector m = (Vector)(bits - (power << 23)), n = __builtin_convertvector(power, Vector);
  const Vector log = n * 0.693359375f + (n * -2.12194440e-4f + twice_artanh((m - 1.f) / (m + 1.f)));
  return x == x ? log : x;
}

// The same number, which no sum that it is part of may take before it was rounded (as a fused multiply-add does).
inline Vector rounded(Vector v) {
  asm("" : "+m"(v));
  return v;
}

inline Vector square_root(Vector v) {
  for (int i = 0; i < LANES; ++i) v[i] = std::sqrt(v[i]);
  return v;
}

// v between those two; NaN stays.
inline Vector within(Vector v, float least, float most) {
  v = v < least ? all(least) : v;
  return v > most ? all(most) : v;
}

inline float sum(const float* numbers, int64_t count) {
  Vector sums = all(0.f);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) sums += load(numbers + i);
  float total = 0.f;
  for (int lane = 0; lane < LANES; ++lane) total += sums[lane];
  for (; i < count; ++i) total += numbers[i];
  return total;
}

// Of two rows of a square of LANES rows, S apart: exchange the second half of the one, in blocks of S, with the first
// of the other.
template <int S, size_t... J>
void exchange(Vector& upper, Vector& lower, std::index_sequence<J...>) {
  const Vector a = upper, b = lower;
  upper = __builtin_shufflevector(a, b, (J & S ? J - S + LANES : J)...);
  lower = __builtin_shufflevector(a, b, (J & S ? J + LANES : J + S)...);
}

// Turn rows to columns: blocks of 1 are exchanged, then of 2, 4 ...
template <int S = 1>
void turn(Vector (&rows)[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES; ++i)
    if (!(i & S)) exchange<S>(rows[i], rows[i + S], std::make_index_sequence<LANES>());
  if constexpr (2 * S < LANES) turn<2 * S>(rows);
}

}  // namespace densiflow
