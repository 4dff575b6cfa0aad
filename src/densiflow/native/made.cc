// Layers of autoregressive and coupling flows on the CPU, both ways.
//
// A tile of rows goes through all networks while its activations are in the cache; threads take tiles in turn. Arrays
// are features-major float32: x (dim, n), weights (depth, out, in). Units are sorted by degree, so each mask is a
// staircase, given by `reach`: products.h.

#include <string>

#include "affine.h"
#include "shift.h"
#include "spline.h"

namespace densiflow {
namespace {

constexpr int64_t STRIP_ROWS = 4 * HEIGHT;  // of the last product, computed together: whole columns of about as many

// One network whose inputs are all known: the columns mapped by `map`, and the logs of its slopes added to log_det.
// `said(l, r)` is where layer l is to say what it does from row r on; the last one's rows may share a place.
template <typename Map, typename Said>
void map_known(const Network& net, int64_t numbers, const Map& map, const Part& part, const float* columns,
               float* mapped, float* log_det, const Said& said) {
  const int64_t together = std::max<int64_t>(1, STRIP_ROWS / numbers);
  const float* read = columns;
  for (size_t l = 0; !net.is_last(l); ++l) {
    const Layer& layer = net.layers[l];
    float* y = said(l, 0);
    const float* bias = layer.begin(0, layer.out, part, y);
    add_products(layer, 0, layer.out, 0, layer.in, read, bias, y, part.vectors);
    activate(y, layer.out, part.vectors, layer.activation);
    read = y;
  }
  if (mapped != columns) std::memcpy(mapped, columns, 4 * net.passing * TILE);
  const Layer& last = net.layers.back();
  for (int64_t column = 0; column < net.mapped(); column += together) {  // while their parameters are at hand
    const int64_t until = std::min(column + together, net.mapped()), first = column * numbers, end = until * numbers;
    float* y = said(net.layers.size() - 1, first);
    const float* bias = last.begin(first, end, part, y);
    add_products(last, first, end, 0, last.in, read, bias, y, part.vectors);
    for (int64_t d = net.passing + column; d < net.passing + until; ++d, y += numbers * TILE) {
      const auto by_theta = [&](int c, Vector v) { return map(y + c, v); };
      map_column(by_theta, columns + d * TILE, mapped + d * TILE, log_det, part.vectors);
    }
  }
}

// `kept` may take what the way back of training needs, stacked and tile after tile: what each network reads, and what
// every layer says.
template <typename Scalar>
ffi::Error all_to_base(ffi::ThreadPool pool, Array x, Array context, Orders orders, ffi::RemainingArgs arrays,
                       Result z, Result log_det, ffi::RemainingRets kept, ffi::Span<const int64_t> passing, Reach reach,
                       int64_t activation, Scalar scalar) {
  const int64_t n = x.dimensions()[1], dim = x.dimensions()[0], given = context.dimensions()[0];
  const size_t layers = arrays.size() / ARRAYS / passing.size();
  const std::vector<Network> networks = stack(dim, orders, arrays, layers, {passing, reach, activation});
  const int64_t depth = networks.size(), group = together(networks);
  const int64_t widest = largest(networks, [](const Network& net) { return net.widest; });
  if (kept.size() && kept.get<Array>(0).value()->dimensions()[3] != TILE)
    return ffi::Error::InvalidArgument("what is kept must be in tiles of " + std::to_string(TILE) + " rows");
  const int64_t rounds = (depth + group - 1) / group;  // between them the rows are in z
  in_rounds(pool, rounds, tiles(n), [&](int64_t round, int64_t tile) {
    Part part(tile, n);
    const int64_t first = round * group;
    float* own = scratch((2 * dim + 1 + 2 * widest + given) * TILE);
    float *mapped = own + dim * TILE, *dets = mapped + dim * TILE, *room = dets + TILE;
    part.take_context(context, room + 2 * widest * TILE);
    std::fill(dets, dets + TILE, 0.f);
    part.read(first ? z->typed_data() : x.typed_data(), dim, mapped);
    if (first) part.read(log_det->typed_data(), 1, dets);
    const int64_t end = std::min(first + group, depth);
    const int32_t* order = orders.typed_data() + first * dim;
    for (int64_t t = first; t < end; ++t, order += dim) {
      const Network& net = networks[t];
      const auto keep = [&](size_t i) { return part.of(**kept.get<Array>(net.place * (1 + layers) + i), net.index); };
      float* columns = kept.size() ? keep(0) : own;
      gather(mapped, order, dim, columns);
      const auto said = [&](size_t l, int64_t row) {
        return kept.size() ? keep(1 + l) + row * TILE : room + l % 2 * widest * TILE;
      };
      const auto map = [&](const float* theta, Vector v) { return scalar.to_base(theta, v); };
      map_known(net, scalar.parameters(), map, part, columns, mapped, dets, said);
    }
    if (end == depth) {
      gather(mapped, order, dim, own);
      std::swap(mapped, own);
    }
    part.write(mapped, dim, z->typed_data());
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

  void begin(int64_t known, const Part& part) {
    counted = known;
    const float* bias = layer.begin(done, needed, part, y + done * TILE);
    add_products(layer, done, needed, 0, known, x, bias, y + done * TILE, part.vectors);
  }

  void finish(const Part& part) {
    add_products(layer, done, needed, counted, layer.in, x, nullptr, y + done * TILE, part.vectors);
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

// One network: the columns inverted in place, and the logs of their slopes added to log_det. Each unit is computed once,
// as soon as the columns that it reads are known. Behind the columns there must be room for all layers.
template <typename Map>
void map_one_by_one(const Network& net, int64_t numbers, const Map& map, const Part& part, float* columns,
                    float* log_det) {
  std::vector<Stage> stages;
  float* read = columns;
  for (const Layer& layer : net.layers) {
    stages.push_back({layer, read, read + layer.in * TILE, 0, 0, 0});
    read = stages.back().y;
  }
  float* theta = read;
  for (int64_t column = 0; column < net.dim; ++column) {
    if (column % GROUP == 0) {
      look_ahead(stages, numbers * std::min(column + GROUP, net.dim));
      for (size_t l = 0; l < stages.size(); ++l) stages[l].begin(l == 0 ? column : stages[l - 1].done, part);
    }
    look_ahead(stages, numbers * (column + 1));
    for (size_t l = 0; l < stages.size(); ++l) {
      Stage& stage = stages[l];
      stage.finish(part);
      if (!net.is_last(l))
        activate(stage.y + stage.done * TILE, stage.needed - stage.done, part.vectors, stage.layer.activation);
      stage.done = stage.needed;
    }
    const float* said = theta + numbers * column * TILE;
    const auto by_theta = [&](int c, Vector v) { return map(said + c, v); };
    map_column(by_theta, columns + column * TILE, columns + column * TILE, log_det, part.vectors);
  }
}

template <typename Scalar>
void to_data(const Network& net, const Scalar& scalar, const Part& part, float* columns, float* log_det) {
  const int64_t numbers = scalar.parameters();
  const auto map = [&](const float* theta, Vector v) { return scalar.to_data(theta, v); };
  if (!net.passing) return map_one_by_one(net, numbers, map, part, columns, log_det);
  float* room = columns + net.dim * TILE;
  const auto said = [&](size_t l, int64_t) { return room + l % 2 * net.widest * TILE; };
  map_known(net, numbers, map, part, columns, columns, log_det, said);
}

template <typename Scalar>
ffi::Error all_to_data(ffi::ThreadPool pool, Array z, Array context, Orders orders, ffi::RemainingArgs arrays,
                       Result x, Result log_det, ffi::Span<const int64_t> passing, Reach reach, int64_t activation,
                       Scalar scalar) {
  const int64_t n = z.dimensions()[1], dim = z.dimensions()[0], given = context.dimensions()[0];
  const size_t layers = arrays.size() / ARRAYS / passing.size();
  const std::vector<Network> networks = stack(dim, orders, arrays, layers, {passing, reach, activation});
  const int64_t depth = networks.size(), group = together(networks);
  const int64_t room = largest(networks, [](const Network& net) { return std::max(net.height, 2 * net.widest); });
  const int64_t rounds = (depth + group - 1) / group;  // between them the rows are in x
  in_rounds(pool, rounds, tiles(n), [&](int64_t round, int64_t tile) {
    Part part(tile, n);
    const int64_t end = depth - round * group, first = std::max<int64_t>(0, end - group);
    float* given_tile = scratch((given + 1 + 2 * dim + room) * TILE);
    float *dets = given_tile + given * TILE, *before = dets + TILE, *columns = before + dim * TILE;
    part.take_context(context, given_tile);
    std::fill(dets, dets + TILE, 0.f);
    part.read(end < depth ? x->typed_data() : z.typed_data(), dim, before);
    if (end < depth) part.read(log_det->typed_data(), 1, dets);
    const int32_t* order = orders.typed_data() + end * dim;
    for (int64_t t = end; t-- > first; order -= dim) {
      scatter(before, order, dim, columns);
      to_data(networks[t], scalar, part, columns, dets);
      std::memcpy(before, columns, 4 * dim * TILE);
    }
    if (first == 0) {
      scatter(before, order, dim, columns);
      std::swap(before, columns);
    }
    part.write(before, dim, x->typed_data());
    part.write(dets, 1, log_det->typed_data());
  });
  return ffi::Error::Success();
}

template <typename Scalar>
auto to_base_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Array>()
      .Arg<Array>()
      .Arg<Orders>()
      .RemainingArgs()
      .Ret<Array>()
      .Ret<Array>()
      .RemainingRets()
      .Attr<ffi::Span<const int64_t>>("passing")
      .Attr<Reach>("reach")
      .Attr<int64_t>("activation")
      .Attr<Scalar>("scalar");
}

template <typename Scalar>
auto to_data_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Array>()
      .Arg<Array>()
      .Arg<Orders>()
      .RemainingArgs()
      .Ret<Array>()
      .Ret<Array>()
      .Attr<ffi::Span<const int64_t>>("passing")
      .Attr<Reach>("reach")
      .Attr<int64_t>("activation")
      .Attr<Scalar>("scalar");
}

}  // namespace
}  // namespace densiflow

using namespace densiflow;

XLA_FFI_DEFINE_HANDLER_SYMBOL(made_to_base, all_to_base<Affine>, to_base_binding<Affine>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_to_data, all_to_data<Affine>, to_data_binding<Affine>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_shift_to_base, all_to_base<Shift>, to_base_binding<Shift>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_shift_to_data, all_to_data<Shift>, to_data_binding<Shift>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_spline_to_base, all_to_base<Spline>, to_base_binding<Spline>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_spline_to_data, all_to_data<Spline>, to_data_binding<Spline>());
