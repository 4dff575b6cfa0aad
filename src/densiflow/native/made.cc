// One layer of a masked autoregressive flow on the CPU, both ways.
//
// A tile of rows goes through the whole network while its activations are in the cache; threads take tiles in turn.
// Arrays are features-major float32: x (dim, n), context (context_dim, n), weights (out, in). Units are sorted by
// degree, so each mask is a staircase, given by `reach`: products.h.

#include "affine.h"
#include "spline.h"

namespace densiflow {
namespace {

constexpr int64_t STRIP_ROWS = 4 * HEIGHT;  // of the last product, computed together: whole columns of about as many

// `kept` may take what every layer says, (out, n), which the way back of training needs.
template <typename Scalar>
ffi::Error to_base(ffi::ThreadPool pool, Array x, ffi::RemainingArgs arrays, Result z, Result log_det,
                   ffi::RemainingRets kept, Reach reach, int64_t activation, Scalar scalar) {
  const int64_t n = x.dimensions()[1];
  const Network net(x.dimensions()[0], arrays, arrays.size() / 2, reach);
  const int64_t numbers = scalar.parameters(), together = std::max<int64_t>(1, STRIP_ROWS / numbers);
  in_parallel(pool, tiles(n), [&](int64_t tile) {
    const Part part(tile, n);
    const int64_t room = net.widest * TILE;
    float* columns = scratch((2 * net.dim + 1) * TILE + 2 * room + net.widest * HEIGHT);
    float *mapped = columns + net.dim * TILE, *dets = mapped + net.dim * TILE;
    float *h = dets + TILE, *y = h + room, *step = y + room;
    part.read(x.typed_data(), net.dim, columns);
    const float* read = columns;
    for (size_t l = 0; !net.is_last(l); ++l) {
      const Layer& layer = net.layers[l];
      const float* bias = layer.begin(0, layer.out, part, y);
      add_products(layer, 0, layer.out, 0, layer.in, read, bias, y, part.vectors, step);
      activate(y, layer.out, part.vectors, activation);
      if (kept.size()) part.write(y, layer.out, (*kept.get<Array>(l))->typed_data());
      std::swap(h, y);
      read = h;
    }
    const Layer& last = net.layers.back();
    std::fill(dets, dets + TILE, 0.f);
    for (int64_t column = 0; column < net.dim; column += together) {  // mapped while their parameters are at hand
      const int64_t until = std::min(column + together, net.dim), first = column * numbers, end = until * numbers;
      const float* bias = last.begin(first, end, part, y);
      add_products(last, first, end, 0, last.in, read, bias, y, part.vectors, step);
      if (kept.size()) part.write(y, end - first, (*kept.get<Array>(kept.size() - 1))->typed_data() + first * n);
      for (int64_t d = column; d < until; ++d) {
        const float* theta = y + (d - column) * numbers * TILE;
        const auto map = [&](int c, Vector v) { return scalar.to_base(theta + c, v); };
        map_column(map, columns + d * TILE, mapped + d * TILE, dets, part.vectors);
      }
    }
    part.write(mapped, net.dim, z->typed_data());
    part.write(dets, 1, log_det->typed_data());
  });
  return ffi::Error::Success();
}

// Columns whose units are begun together: most of each sum is taken in whole strips, before the recursion in the group.
constexpr int64_t GROUP = 8;

// A layer while its tile is inverted: its outputs below `done` are finished, those below `needed` come next, and their
// sums hold the inputs below `counted`.
struct Stage {
  const Layer& layer;
  const float* x;
  float* y;
  int64_t done, needed, counted;

  void begin(int64_t known, const Part& part, float* step) {
    counted = known;
    const float* bias = layer.begin(done, needed, part, y + done * TILE);
    add_products(layer, done, needed, 0, known, x, bias, y + done * TILE, part.vectors, step);
  }

  void finish(const Part& part, float* step) {
    add_products(layer, done, needed, counted, layer.in, x, nullptr, y + done * TILE, part.vectors, step);
  }
};

// Say how many outputs of each layer the first `rows` of the last one need.
void look_ahead(std::vector<Stage>& stages, int64_t rows) {
  stages.back().needed = rows;
  for (size_t l = stages.size() - 1; l > 0; --l) {
    const int64_t readers = stages[l].needed;
    stages[l - 1].needed = std::max<int64_t>(stages[l - 1].done, readers ? stages[l].layer.reach[readers - 1] : 0);
  }
}

// Each unit is computed once, as soon as the columns that it reads are known.
template <typename Scalar>
ffi::Error to_data(ffi::ThreadPool pool, Array z, ffi::RemainingArgs arrays, Result x, Result log_det, Reach reach,
                   int64_t activation, Scalar scalar) {
  const int64_t n = z.dimensions()[1], numbers = scalar.parameters();
  const Network net(z.dimensions()[0], arrays, arrays.size() / 2, reach);
  in_parallel(pool, tiles(n), [&](int64_t tile) {
    const Part part(tile, n);
    float *dets = scratch((1 + net.dim + net.height) * TILE + net.widest * HEIGHT), *columns = dets + TILE;
    std::vector<Stage> stages;
    float* read = columns;
    for (const Layer& layer : net.layers) {
      stages.push_back({layer, read, read + layer.in * TILE, 0, 0, 0});
      read = stages.back().y;
    }
    float *theta = read, *step = theta + numbers * net.dim * TILE;
    part.read(z.typed_data(), net.dim, columns);
    std::fill(dets, dets + TILE, 0.f);
    for (int64_t column = 0; column < net.dim; ++column) {
      if (column % GROUP == 0) {
        look_ahead(stages, numbers * std::min(column + GROUP, net.dim));
        for (size_t l = 0; l < stages.size(); ++l) stages[l].begin(l == 0 ? column : stages[l - 1].done, part, step);
      }
      look_ahead(stages, numbers * (column + 1));
      for (size_t l = 0; l < stages.size(); ++l) {
        Stage& stage = stages[l];
        stage.finish(part, step);
        if (!net.is_last(l))
          activate(stage.y + stage.done * TILE, stage.needed - stage.done, part.vectors, activation);
        stage.done = stage.needed;
      }
      const float* said = theta + numbers * column * TILE;
      const auto map = [&](int c, Vector v) { return scalar.to_data(said + c, v); };
      map_column(map, columns + column * TILE, columns + column * TILE, dets, part.vectors);
    }
    part.write(columns, net.dim, x->typed_data());
    part.write(dets, 1, log_det->typed_data());
  });
  return ffi::Error::Success();
}

template <typename Scalar>
auto to_base_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Array>()
      .RemainingArgs()
      .Ret<Array>()
      .Ret<Array>()
      .RemainingRets()
      .Attr<Reach>("reach")
      .Attr<int64_t>("activation")
      .Attr<Scalar>("scalar");
}

template <typename Scalar>
auto to_data_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Array>()
      .RemainingArgs()
      .Ret<Array>()
      .Ret<Array>()
      .Attr<Reach>("reach")
      .Attr<int64_t>("activation")
      .Attr<Scalar>("scalar");
}

}  // namespace
}  // namespace densiflow

using namespace densiflow;

XLA_FFI_DEFINE_HANDLER_SYMBOL(made_to_base, to_base<Affine>, to_base_binding<Affine>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_to_data, to_data<Affine>, to_data_binding<Affine>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_spline_to_base, to_base<Spline>, to_base_binding<Spline>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_spline_to_data, to_data<Spline>, to_data_binding<Spline>());
