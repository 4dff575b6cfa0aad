// Products of a weight below a staircase with a tile of activations.
//
// A tile holds TILE rows of data, features-major: unit k of every row stands at tile + k * TILE. The vector axis is the
// data's, so a weight is broadcast and nothing has to be packed.
#pragma once

#include <algorithm>

#include "vectors.h"

namespace densiflow {

constexpr int TILE = 64;
constexpr int HEIGHT = 6;                  // rows of a weight whose sums are kept in registers together
constexpr int WIDTH = LANES == 8 ? 2 : 4;  // vectors of data beside each: 24 sums of 32 registers, or 12 of 16
static_assert(TILE % (LANES * WIDTH) == 0);

// y[r] = sum over k < count of w[r * row_step + k * k_step] x[k], for R rows and C vectors of data, added to bias[r],
// or to y[r] where there is no bias.
template <int R, int C>
void block(const float* w, int64_t row_step, int64_t k_step, const float* x, const float* bias, float* y,
           int64_t count) {
  Vector sum[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sum[r][c] = bias ? all(bias[r]) : load(y + r * TILE + c * LANES);
  for (int64_t k = 0; k < count; ++k, w += k_step, x += TILE) {
    Vector column[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) column[c] = load(x + c * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vector weight = all(w[r * row_step]);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] += weight * column[c];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(y + r * TILE + c * LANES, sum[r][c]);
}

// The same for as many vectors as the tile holds of data.
template <int R>
void strip(const float* w, int64_t row_step, int64_t k_step, const float* x, const float* bias, float* y,
           int64_t count, int vectors) {
  for (; vectors >= WIDTH; vectors -= WIDTH, x += WIDTH * LANES, y += WIDTH * LANES)
    block<R, WIDTH>(w, row_step, k_step, x, bias, y, count);
  if (vectors == 1) block<R, 1>(w, row_step, k_step, x, bias, y, count);
  if (WIDTH > 2 && vectors == 2) block<R, 2>(w, row_step, k_step, x, bias, y, count);
  if (WIDTH > 3 && vectors == 3) block<R, 3>(w, row_step, k_step, x, bias, y, count);
}

using Strip = void (*)(const float*, int64_t, int64_t, const float*, const float*, float*, int64_t, int);
constexpr Strip STRIPS[HEIGHT + 1] = {nullptr, strip<1>, strip<2>, strip<3>, strip<4>, strip<5>, strip<6>};

// Have so many numbers in the cache soon.
inline void prefetch(const float* numbers, int64_t count) {
  constexpr int64_t LINE = 16;
  for (int64_t i = 0; i < count; i += LINE) __builtin_prefetch(numbers + i);
}

// A weight (out, in). Row r reads the inputs 0 .. reach[r] - 1, and reach never falls with r.
struct Weight {
  const float* w;
  const int32_t* reach;
  int64_t out, in;
};

constexpr int64_t DEPTH = 64;  // of a sum taken at once: as much of a tile stays in the nearest cache for all strips

// y[r - first] = the inputs from .. until - 1, DEPTH at most, of row r times its weights, for the rows first .. last
// - 1, added to `bias` as in block. Where the staircase runs through a strip, rows that end leave the others.
inline void add_shallow(const Weight& layer, int64_t first, int64_t last, int64_t from, int64_t until, const float* x,
                        const float* bias, float* y, int vectors) {
  for (int64_t r = first; r < last; r += HEIGHT) {
    const int64_t end = std::min(r + HEIGHT, last);
    for (int64_t next = end; next < std::min(end + HEIGHT, last); ++next)
      prefetch(layer.w + next * layer.in + from, std::min<int64_t>(layer.reach[next], until) - from);
    int64_t k = from;
    for (int64_t row = r; row < end; ++row) {
      const int64_t step = std::clamp<int64_t>(layer.reach[row], k, until);
      const float* added = bias && row == r ? bias + r - first : nullptr;
      if (step > k || added)
        STRIPS[end - row](layer.w + row * layer.in + k, layer.in, 1, x + k * TILE, added, y + (row - first) * TILE,
                          step - k, vectors);
      k = step;
    }
  }
}

// The same for any number of inputs.
inline void add_products(const Weight& layer, int64_t first, int64_t last, int64_t from, int64_t until, const float* x,
                         const float* bias, float* y, int vectors) {
  if (first == last) return;
  until = std::clamp<int64_t>(layer.reach[last - 1], from, until);
  do {
    const int64_t next = std::min(from + DEPTH, until);
    add_shallow(layer, first, last, from, next, x, bias, y, vectors);
    from = next;
    bias = nullptr;
  } while (from < until);
}

// y[k] = sum over the rows r that read input k of w[r, k] x[r], added to y[k] where `adds`, for every k; readers[k] is
// the first such row. Here inputs that begin to be read join the others of their strip.
inline void transposed_products(const Weight& layer, const int64_t* readers, const float* x, bool adds, float* y,
                                int vectors) {
  for (int64_t first = 0; first < layer.out; first += DEPTH) {
    const int64_t last = std::min(first + DEPTH, layer.out);
    for (int64_t k = 0; k < layer.in && (readers[k] < last || last == layer.out); k += HEIGHT) {
      const int64_t height = std::min<int64_t>(HEIGHT, layer.in - k);
      if (!adds && readers[k] >= first) std::fill(y + k * TILE, y + (k + height) * TILE, 0.f);
      int64_t r = std::clamp(readers[k], first, last);
      for (int64_t read = 1; read <= height; ++read) {
        const int64_t step = read < height ? std::clamp(readers[k + read], r, last) : last;
        if (step > r)
          STRIPS[read](layer.w + r * layer.in + k, 1, layer.in, x + r * TILE, nullptr, y + k * TILE, step - r, vectors);
        r = step;
      }
    }
  }
}

}  // namespace densiflow
