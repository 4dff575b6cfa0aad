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
  for (; vectors > 0; --vectors, x += LANES, y += LANES) block<R, 1>(w, row_step, k_step, x, bias, y, count);
}

using Strip = void (*)(const float*, int64_t, int64_t, const float*, const float*, float*, int64_t, int);
constexpr Strip STRIPS[HEIGHT + 1] = {nullptr, strip<1>, strip<2>, strip<3>, strip<4>, strip<5>, strip<6>};

// A weight (out, in). Row r reads the inputs 0 .. reach[r] - 1, and reach never falls with r.
struct Weight {
  const float* w;
  const int32_t* reach;
  int64_t out, in;
};

// y[r - first] = the inputs from .. until - 1 of row r times its weights, for the rows first .. last - 1, added to
// `bias` as in block. Where the staircase runs through a strip, its weights are copied with zeros above the stairs;
// `step` (in, HEIGHT) takes them.
inline void add_products(const Weight& layer, int64_t first, int64_t last, int64_t from, int64_t until, const float* x,
                         const float* bias, float* y, int vectors, float* step) {
  for (int64_t r = first; r < last; r += HEIGHT, y += HEIGHT * TILE) {
    const int64_t height = std::min<int64_t>(HEIGHT, last - r);
    const int64_t stairs = std::clamp<int64_t>(layer.reach[r], from, until);
    const int64_t end = std::clamp<int64_t>(layer.reach[r + height - 1], from, until);
    const float *w = layer.w + r * layer.in, *added = bias ? bias + r - first : nullptr;
    if (stairs > from || bias)
      STRIPS[height](w + from, layer.in, 1, x + from * TILE, added, y, stairs - from, vectors);
    if (stairs == end) continue;
    for (int64_t i = 0; i < height; ++i)
      for (int64_t k = stairs; k < end; ++k)
        step[(k - stairs) * HEIGHT + i] = k < layer.reach[r + i] ? w[i * layer.in + k] : 0.f;
    STRIPS[height](step, 1, HEIGHT, x + stairs * TILE, nullptr, y, end - stairs, vectors);
  }
}

// y[k] += sum over the rows r that read input k of w[r, k] x[r], for every k; readers[k] is the first such row.
inline void add_transposed(const Weight& layer, const int64_t* readers, const float* x, float* y, int vectors,
                           float* step) {
  for (int64_t k = 0; k < layer.in; k += HEIGHT, y += HEIGHT * TILE) {
    const int64_t height = std::min<int64_t>(HEIGHT, layer.in - k);
    const int64_t start = readers[k], stairs = readers[k + height - 1];
    STRIPS[height](layer.w + stairs * layer.in + k, 1, layer.in, x + stairs * TILE, nullptr, y, layer.out - stairs,
                   vectors);
    if (start == stairs) continue;
    for (int64_t r = start; r < stairs; ++r)
      for (int64_t i = 0; i < height; ++i)
        step[(r - start) * HEIGHT + i] = k + i < layer.reach[r] ? layer.w[r * layer.in + k + i] : 0.f;
    STRIPS[height](step, 1, HEIGHT, x + start * TILE, nullptr, y, stairs - start, vectors);
  }
}

}  // namespace densiflow
