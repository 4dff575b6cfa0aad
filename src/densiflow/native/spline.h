// The rational-quadratic spline with linear tails, by the vectors of a column. Its formulas are those of
// scalars/rational_quadratic_spline.py, its derivatives theirs by hand.
#pragma once

#include "network.h"

namespace densiflow {

struct Spline {
  float bound;
  int64_t bins;

  int64_t parameters() const { return 3 * bins - 1; }

  Mapped to_base(const float* theta, Vector x) const {
    const Vector at = within(x, -bound, bound);
    const Piece piece = find<WIDE>(theta, at, sizes(theta), sizes(theta + bins * TILE));
    const Curve curve(piece, within((at - piece.left) / piece.width, 0.f, 1.f));
    return {inside(x) ? piece.bottom + piece.height * curve.risen() : x, inside(x) ? curve.log_slope() : all(0.f)};
  }

  Mapped to_data(const float* theta, Vector z) const {
    const Vector at = within(z, -bound, bound);
    const Piece piece = find<HIGH>(theta, at, sizes(theta), sizes(theta + bins * TILE));
    const Curve curve(piece, piece.place_of(within((at - piece.bottom) / piece.height, 0.f, 1.f)));
    return {inside(z) ? piece.left + piece.width * curve.xi : z, inside(z) ? -curve.log_slope() : all(0.f)};
  }

  Vector back(float* theta, Vector x, Vector dz, Vector dlog_slope) const {
    const Vector at = within(x, -bound, bound);
    const Sizes widths = sizes(theta), heights = sizes(theta + bins * TILE);
    const Piece piece = find<WIDE>(theta, at, widths, heights);
    const Curve curve(piece, within((at - piece.left) / piece.width, 0.f, 1.f));
    const Vector dz_inside = inside(x) ? dz : all(0.f);
    const Gradient d = curve.back(piece, dz_inside, inside(x) ? dlog_slope : all(0.f));
    through_sizes(theta, widths, piece, piece.left, piece.width, -d.x, d.width);
    through_sizes(theta + bins * TILE, heights, piece, piece.bottom, piece.height, dz_inside, d.height);
    for (int64_t knot = 1; knot < bins; ++knot) {
      const Vector place = all(knot), first = d.first * piece.first.derivative, last = d.last * piece.last.derivative;
      const Vector slope = place == piece.number ? first : place == piece.number + 1.f ? last : all(0.f);
      store(theta + (2 * bins + knot - 1) * TILE, slope);
    }
    return inside(x) ? d.x : dz;
  }

 private:
  static constexpr int64_t MOST = 16;  // bins; native/scalars.py asks for no more
  static constexpr float LEAST_SHARE = 1e-3f, LEAST_SLOPE = 1e-3f, SLOPES_BOUND = 50.f;
  static constexpr float TINY = 1.17549435e-38f;  // the least number that is not subnormal
  static constexpr float AT_ONE = 0.539742417f;  // log(e^(1 - LEAST_SLOPE) - 1): where the slope is 1

  enum Side { WIDE, HIGH };

  struct Sizes {
    Vector of[MOST];
  };

  // The slope at a knot, and its derivative by the network's number.
  struct Slope {
    Vector value, derivative;
  };

  struct Piece {
    Vector number, left, bottom, width, height;
    Slope first, last;

    // The xi at which a share eta of the height is reached.
    Vector place_of(Vector eta) const {
      const Vector s = height / width, excess = eta * (last.value + first.value - 2.f * s);
      const Vector a = s - first.value + excess, b = first.value - excess, c = -s * eta;
      const Vector square = b * b - 4.f * a * c;
      return within(2.f * c / (-b - square_root(square > TINY ? square : all(TINY))), 0.f, 1.f);
    }
  };

  struct Gradient {
    Vector x, width, height, first, last;
  };

  // A piece at xi = (x - left) / width: z = bottom + height rise / run, dz/dx = (s / run)^2 bend.
  struct Curve {
    Vector xi, beyond, both, s, first, last, rise, run, bend;

    Curve(const Piece& piece, Vector xi)
        : xi(xi), beyond(1.f - xi), both(xi * beyond), s(piece.height / piece.width), first(piece.first.value),
          last(piece.last.value), rise(s * xi * xi + first * both), run(s + (last + first - 2.f * s) * both),
          bend(last * xi * xi + 2.f * s * both + first * beyond * beyond) {}

    Vector risen() const { return rise / run; }

    Vector log_slope() const {
      const Vector ratio = s / run;
      return logarithm(ratio * ratio * bend);
    }

    Gradient back(const Piece& piece, Vector dz, Vector dlog_slope) const {
      const Vector share = risen(), turned = 1.f - 2.f * xi;  // the derivative of `both` by xi
      const Vector drise = dz * piece.height / run, dbend = dlog_slope / bend;
      const Vector drun = -drise * share - 2.f * dlog_slope / run;
      const Vector dxi = drise * (2.f * s * xi + first * turned) + drun * (last + first - 2.f * s) * turned +
                         2.f * dbend * (last * xi + s * turned - first * beyond);
      const Vector ds = drise * xi * xi + drun * (1.f - 2.f * both) + 2.f * dbend * both + 2.f * dlog_slope / s;
      return {dxi / piece.width, -(dxi * xi + ds * s) / piece.width, dz * share + ds / piece.width,
              (drise + drun) * both + dbend * beyond * beyond, drun * both + dbend * xi * xi};
    }
  };

  Integers inside(Vector x) const { return (x < bound) & (x > -bound); }

  float least() const { return 2.f * bound * LEAST_SHARE; }
  float shared_out() const { return 2.f * bound * (1.f - LEAST_SHARE * bins); }

  // Of bins that share the box as the softmax of those numbers does.
  Sizes sizes(const float* logits) const {
    Sizes sizes;
    Vector largest = load(logits), total = all(0.f);
    for (int64_t k = 1; k < bins; ++k) {
      const Vector logit = load(logits + k * TILE);
      largest = logit > largest ? logit : largest;
    }
    for (int64_t k = 0; k < bins; ++k) total += sizes.of[k] = decay(load(logits + k * TILE) - largest);
    const Vector scale = shared_out() / total;
    for (int64_t k = 0; k < bins; ++k) sizes.of[k] = least() + scale * sizes.of[k];
    return sizes;
  }

  static Slope slope(Vector number) {
    const Vector squashed = hyperbolic_tangent(number / SLOPES_BOUND), a = SLOPES_BOUND * squashed + AT_ONE;
    const Vector small = decay(a < 0.f ? a : -a), rate = 1.f / (1.f + small);
    return {LEAST_SLOPE + (a > 0.f ? a : all(0.f)) + logarithm_beside_one(small),
            (a > 0.f ? rate : small * rate) * (1.f - squashed * squashed)};
  }

  // The piece that a number lies in, by walking past one knot after another.
  template <Side SIDE>
  Piece find(const float* theta, Vector at, const Sizes& widths, const Sizes& heights) const {
    const float* slopes = theta + 2 * bins * TILE;  // at the inner knots; a number of 0 is the slope 1 of the ends
    const Vector start = all(-bound), end = all(0.f);
    Vector number = all(0.f), left = start, bottom = start, first = end, last = load(slopes);
    Piece piece = {number, left, bottom, widths.of[0], heights.of[0]};
    for (int64_t k = 1; k < bins; ++k, slopes += TILE) {
      left += widths.of[k - 1];
      bottom += heights.of[k - 1];
      const Integers passed = at >= (SIDE == WIDE ? left : bottom);
      const auto pass = [&](Vector& value, Vector following) { value = passed ? following : value; };
      pass(piece.number, all(k));
      pass(piece.left, left);
      pass(piece.bottom, bottom);
      pass(piece.width, widths.of[k]);
      pass(piece.height, heights.of[k]);
      pass(first, load(slopes));
      pass(last, k + 1 < bins ? load(slopes + TILE) : end);
    }
    piece.first = slope(first);
    piece.last = slope(last);
    return piece;
  }

  // From the gradients of where a piece starts and of its size to those of what the bins' sizes are made of.
  void through_sizes(float* logits, const Sizes& sizes, const Piece& piece, Vector start, Vector size, Vector dstart,
                     Vector dsize) const {
    const Vector before = start + bound - piece.number * least();  // shared out to the bins before the piece
    const Vector mean = (dstart * before + dsize * (size - least())) / shared_out();
    for (int64_t k = 0; k < bins; ++k) {
      const Vector place = all(k);
      const Vector d = place < piece.number ? dstart : place == piece.number ? dsize : all(0.f);
      store(logits + k * TILE, (sizes.of[k] - least()) * (d - mean));
    }
  }
};

}  // namespace densiflow

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(densiflow::Spline, xla::ffi::StructMember<float>("bound"),
                                      xla::ffi::StructMember<int64_t>("bins"));
