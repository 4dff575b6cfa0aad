// A step of Adam over all weights, in one pass: each number is read once and written once.

#include <cmath>
#include <cstring>
#include <vector>

#include "threads.h"
#include "vectors.h"

namespace densiflow {
namespace {

namespace ffi = xla::ffi;
using Array = ffi::Buffer<ffi::F32>;

// In the order in which training/adam.py lists them.
struct Factors {
  float shrink, mean_share, square_share, average_share, mean_unbiased, square_unbiased, rate, decay, sound;
};

constexpr float EPSILON = 1e-8f;
enum Kind { TRAINED, AVERAGE, MEAN, SQUARE, GRADIENT };

// Some numbers of one leaf: what they are and what they become, in the same place unless XLA has copied.
struct Piece {
  const float* from[5];
  float* to[4];
  int64_t count;

  Piece(const Piece& all, int64_t start, int64_t count) : count(count) {
    for (int kind = 0; kind < 5; ++kind) from[kind] = all.from[kind] + start;
    for (int kind = 0; kind < 4; ++kind) to[kind] = all.to[kind] + start;
  }

  Piece(const ffi::RemainingArgs& old, const ffi::RemainingRets& made, size_t leaf) {
    const size_t leaves = made.size() / 4;
    count = old.get<Array>(leaf)->element_count();
    for (int kind = 0; kind < 5; ++kind) from[kind] = old.get<Array>(kind * leaves + leaf)->typed_data();
    for (int kind = 0; kind < 4; ++kind) to[kind] = (*made.get<Array>(kind * leaves + leaf))->typed_data();
  }
};

inline Vector root(Vector v) {
  float numbers[LANES];
  store(numbers, v);
  for (float& number : numbers) number = std::sqrt(number);
  return load(numbers);
}

// One vector of each kind, as `moved` in training/adam.py has it.
inline void move(Vector (&v)[5], const Factors& by) {
  const Vector g = by.shrink * v[GRADIENT];
  v[MEAN] += by.mean_share * (g - v[MEAN]);
  v[SQUARE] += by.square_share * (g * g - v[SQUARE]);
  const Vector direction = by.mean_unbiased * v[MEAN] / (root(by.square_unbiased * v[SQUARE]) + EPSILON);
  v[TRAINED] -= by.rate * (direction + by.decay * v[TRAINED]);
  v[AVERAGE] += by.average_share * (v[TRAINED] - v[AVERAGE]);
}

void move(const Piece& piece, const Factors& by) {
  Vector v[5] = {};
  int64_t i = 0;
  for (; i + LANES <= piece.count; i += LANES) {
    for (int kind = 0; kind < 5; ++kind) v[kind] = load(piece.from[kind] + i);
    move(v, by);
    for (int kind = 0; kind < 4; ++kind) store(piece.to[kind] + i, v[kind]);
  }
  const size_t left = 4 * (piece.count - i);
  for (int kind = 0; kind < 5; ++kind) std::memcpy(&v[kind], piece.from[kind] + i, left);
  move(v, by);
  for (int kind = 0; kind < 4; ++kind) std::memcpy(piece.to[kind] + i, &v[kind], left);
}

void keep(const Piece& piece) {
  for (int kind = 0; kind < 4; ++kind)
    if (piece.to[kind] != piece.from[kind]) std::memcpy(piece.to[kind], piece.from[kind], 4 * piece.count);
}

constexpr int64_t SIZE = 1 << 14;  // of a piece of work, in numbers

// `old`: every leaf of each kind in turn, the gradient last. `made`: of the first four kinds.
ffi::Error adam(ffi::ThreadPool pool, Array factors, ffi::RemainingArgs old, ffi::RemainingRets made) {
  Factors by;
  std::memcpy(&by, factors.typed_data(), sizeof by);
  std::vector<Piece> pieces;
  for (size_t leaf = 0; leaf < made.size() / 4; ++leaf) {
    const Piece all(old, made, leaf);
    for (int64_t start = 0; start < all.count; start += SIZE)
      pieces.emplace_back(all, start, std::min(SIZE, all.count - start));
  }
  in_parallel(pool, pieces.size(), [&](int64_t i) { by.sound != 0.f ? move(pieces[i], by) : keep(pieces[i]); });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace densiflow

XLA_FFI_DEFINE_HANDLER_SYMBOL(adam_step, densiflow::adam,
                              xla::ffi::Ffi::Bind()
                                  .Ctx<xla::ffi::ThreadPool>()
                                  .Arg<densiflow::Array>()
                                  .RemainingArgs()
                                  .RemainingRets());
