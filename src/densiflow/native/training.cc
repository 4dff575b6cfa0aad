// The way back through `to_base`, for training: gradients of the data, the weights and the biases.
//
// Tiles again: from the last layer down, the gradient of what each layer said before its activation, which is kept,
// and the layer's inputs, which are kept turned: a gradient of a weight sums over rows of data, so there the vector axis
// must be the inputs'. Then weights: strips of each gradient, summed over all rows of data.

#include <utility>

#include "affine.h"
#include "schedule.h"
#include "shift.h"
#include "spline.h"

namespace densiflow {
namespace {

// Turned inputs of a layer: panels of TILE inputs, (n, TILE) each.
struct Turned {
  float* panels;
  int64_t inputs, n;

  static int64_t size(int64_t inputs, int64_t n) { return tiles(inputs) * n * TILE; }

  void take(const float* tile, const Part& part) const {
    for (int64_t k = 0; k < inputs; k += LANES)
      for (int64_t i = 0; i < part.count; i += LANES) {
        Vector square[LANES];
        for (int64_t unit = 0; unit < LANES; ++unit)
          square[unit] = load(tile + std::min(k + unit, inputs - 1) * TILE + i);
        turn(square);
        float* to = panels + k / TILE * n * TILE + (part.start + i) * TILE + k % TILE;
        const int64_t left = std::min<int64_t>(LANES, part.count - i);
        for (int64_t row = 0; row < left; ++row) store(to + row * TILE, square[row]);
      }
  }
};

// The gradient times the slope of the activation, told from its value h.
void through_activation(const float* gradient, const float* h, float* to, int64_t rows, int vectors,
                        int64_t activation) {
  for (int64_t i = 0; i < rows * TILE; i += TILE)
    for (int c = 0; c < vectors * LANES; c += LANES) {
      const Vector g = load(gradient + i + c), v = load(h + i + c);
      store(to + i + c, activation == RELU ? (v > 0.f ? g : all(0.f)) : g * (1.f - v * v));
    }
}

// Of one product: its turned inputs, and the gradients of its results, tile after tile (tiles, out, TILE), of its weight
// and of what is added to it, if anything is.
struct Back {
  Weight product;
  Turned inputs;
  float *said, *weight, *added;
  std::vector<int64_t> readers;  // of each input, the first row that reads it

  Back(const Weight& product, int64_t n, float* turned, float* said, float* weight, float* added)
      : product(product), inputs{turned, product.in, n}, said(said), weight(weight), added(added) {
    for (int64_t k = 0, r = 0; k < product.in; ++k) {
      while (r < product.out && product.reach[r] <= k) ++r;
      readers.push_back(r);
    }
  }

  float* tile(const Part& part) const { return said + part.start * product.out; }

  // Adds to y, or begins it, what the gradients g make of the inputs'.
  void to_inputs(const float* g, bool adds, float* y, const Part& part) const {
    transposed_products(product, readers.data(), g, adds, y, part.vectors);
  }
};

// Of one layer: its own product, and the context's, which has gradients of its own results only where it is bent.
struct LayerBack {
  const Layer& layer;
  Back own, context;
};

constexpr float NOTHING[HEIGHT] = {};  // to begin a sum with
constexpr int64_t ROWS = 4 * HEIGHT;  // of a weight's gradient that one piece of work computes

int64_t pieces_of(const Weight& product) { return product.in ? (product.out + ROWS - 1) / ROWS : 0; }

// Rows first .. first + ROWS - 1 of the gradients of a weight and what is added. A tile of a panel stays in the nearest
// cache for all of them.
void weight_gradient(const Back& back, int64_t first) {
  const Weight& layer = back.product;
  const int64_t last = std::min(first + ROWS, layer.out), n = back.inputs.n;
  alignas(64) float sums[ROWS * TILE] = {};  // of no rows, zero
  for (int64_t k = 0; k < layer.in; k += TILE) {
    const int64_t wide = std::min<int64_t>(TILE, layer.in - k);
    for (int64_t start = 0; start < n; start += TILE)
      for (int64_t r = first; r < last; r += HEIGHT) {
        const int64_t height = std::min<int64_t>(HEIGHT, last - r);
        const int64_t reached = std::min<int64_t>(layer.reach[r + height - 1] - k, wide);
        if (reached > 0)
          STRIPS[height](back.said + start * layer.out + r * TILE, TILE, 1, back.inputs.panels + k * n + start * TILE,
                         start ? nullptr : NOTHING, sums + (r - first) * TILE, std::min<int64_t>(TILE, n - start),
                         (reached + LANES - 1) / LANES);
      }
    for (int64_t r = first; r < last; ++r) {
      const int64_t reached = std::clamp<int64_t>(layer.reach[r] - k, 0, wide);
      const float* from = sums + (r - first) * TILE;
      float* to = back.weight + r * layer.in + k;
      std::copy(from, from + reached, to);
      std::fill(to + reached, to + wide, 0.f);
    }
  }
  for (int64_t r = first; r < last && back.added; ++r) {
    back.added[r] = 0.f;
    for (int64_t start = 0; start < n; start += TILE)
      back.added[r] += sum(back.said + start * layer.out + r * TILE, std::min<int64_t>(TILE, n - start));
  }
}

// What the way back needs at once for any one network, at most: floats of memory, and pieces of its weights' gradients.
struct Needs {
  int64_t memory = 0, pieces = 0;

  void include(const Network& net, int64_t n) {
    int64_t own = 0, parts = 0;
    for (const Layer& layer : net.layers) {
      own += (layer.shift ? 2 : 1) * tiles(n) * layer.out * TILE;
      own += Turned::size(layer.in, n) + Turned::size(layer.context.in, n);
      parts += pieces_of(layer) + pieces_of(layer.context);
    }
    memory = std::max(memory, own);
    pieces = std::max(pieces, parts);
  }
};

// The layers of a network. `memory` takes their inputs and gradients; the gradients of arrays go where they belong.
std::vector<LayerBack> backs_of(const Network& net, int64_t n, float* memory, ffi::RemainingRets& gradients) {
  std::vector<LayerBack> backs;
  const auto take = [&](int64_t size) { return std::exchange(memory, memory + size); };
  for (size_t l = 0; l < net.layers.size(); ++l) {
    const Layer& layer = net.layers[l];
    const size_t first = ARRAYS * (net.layers.size() * net.place + l);
    const auto gradient = [&](size_t i) { return of(net.index, **gradients.get<Array>(first + i)); };
    const int64_t results = tiles(n) * layer.out * TILE;
    float *said = take(results), *of_context = layer.shift ? take(results) : said;
    float *inputs = take(Turned::size(layer.in, n)), *contexts = take(Turned::size(layer.context.in, n));
    backs.push_back({layer, Back(layer, n, inputs, said, gradient(0), gradient(1)),
                     Back(layer.context, n, contexts, of_context, gradient(2), layer.shift ? gradient(3) : nullptr)});
  }
  return backs;
}

// From the gradients g of what a layer said before its activation, on to the context.
void through_context(const LayerBack& back, const float* g, float* dcontext, const Part& part) {
  const Layer& layer = back.layer;
  if (!layer.context.in) return;
  back.context.inputs.take(part.context, part);
  if (layer.shift) {
    float* bent = back.context.tile(part);
    layer.bent_context(0, layer.out, part, bent);
    through_activation(g, bent, bent, layer.out, part.vectors, layer.activation);
    g = bent;
  }
  back.context.to_inputs(g, true, dcontext, part);
}

// A tile of one network's columns, the gradients of what they are mapped to in `direct` and of log_det. `said(l)` is
// what layer l said. Adds to `direct`, which is left with the gradients of the columns, and to those of the context.
template <typename Scalar, typename Said>
void through_network(const Network& net, const std::vector<LayerBack>& backs, const Scalar& scalar, const Part& part,
                     const float* columns, float* direct, const float* dlog_det, float* dcontext, const Said& said) {
  const int64_t numbers = scalar.parameters();
  float* g = backs.back().own.tile(part);
  std::memcpy(g, said(backs.size() - 1), 4 * numbers * net.mapped() * TILE);
  for (int64_t d = net.passing; d < net.dim; ++d) {
    float* theta = g + (d - net.passing) * numbers * TILE;
    for (int c = 0; c < part.vectors * LANES; c += LANES) {
      float* dz = direct + d * TILE + c;
      store(dz, scalar.back(theta + c, load(columns + d * TILE + c), load(dz), load(dlog_det + c)));
    }
  }
  for (size_t l = backs.size(); l-- > 0;) {
    const LayerBack& back = backs[l];
    const float* h = l > 0 ? said(l - 1) : columns;
    back.own.inputs.take(h, part);
    through_context(back, g, dcontext, part);
    float* next = l > 0 ? backs[l - 1].own.tile(part) : direct;
    back.own.to_inputs(g, l == 0, next, part);
    if (l > 0) through_activation(next, h, next, back.layer.in, part.vectors, back.layer.activation);
    g = next;
  }
}

// Piece number `piece` of a network, the longest rows first; nothing where it has fewer.
void piece_of_gradients(const std::vector<LayerBack>& backs, int64_t piece) {
  for (auto layer = backs.rbegin(); layer != backs.rend(); ++layer)
    for (const Back* back : {&layer->own, &layer->context}) {
      const int64_t pieces = pieces_of(back->product);
      if (piece < pieces) return weight_gradient(*back, (pieces - 1 - piece) * ROWS);
      piece -= pieces;
    }
}

// `arrays`: of every layer, then what `all_to_base` kept; all stacked. `gradients`: of the former. On its way through
// the networks the gradient of what lies between two of them is in dx, and that of the context gathers in dcontext.
template <typename Scalar>
ffi::Error to_base_back(ffi::ThreadPool pool, Array dz, Array dlog_det, Array context, Orders orders,
                        ffi::RemainingArgs arrays, Result dx, Result dcontext, ffi::RemainingRets gradients,
                        ffi::Span<const int64_t> passing, Reach reach, int64_t activation, Scalar scalar) {
  const int64_t dim = dz.dimensions()[0], n = dz.dimensions()[1], given = context.dimensions()[0];
  const size_t layers = gradients.size() / ARRAYS / passing.size();
  const std::vector<Network> networks = stack(dim, orders, arrays, layers, {passing, reach, activation});
  const int64_t count = networks.size();
  Needs needs;
  for (const Network& net : networks) needs.include(net, n);
  float* memory = scratch<1>(2 * needs.memory);
  std::vector<std::vector<LayerBack>> backs;
  for (int64_t t = 0; t < count; ++t)
    backs.push_back(backs_of(networks[t], n, memory + t % 2 * needs.memory, gradients));

  const auto through = [&](int64_t t, int64_t tile) {
    const int32_t* order = orders.typed_data() + t * dim;
    Part part(tile, n);
    const size_t first = gradients.size() + networks[t].place * (1 + layers);
    const auto kept = [&](size_t i) { return part.of(*arrays.get<Array>(first + i), networks[t].index); };
    float *slopes = scratch((2 * dim + 1 + 2 * given) * TILE), *direct = slopes + dim * TILE;
    float *dets = direct + dim * TILE, *contexts = dets + TILE, *dcontexts = contexts + given * TILE;
    const bool begins = t + 1 == count;
    part.read(begins ? dz.typed_data() : dx->typed_data(), dim, slopes);
    scatter(slopes, order + dim, dim, direct);
    part.read(dlog_det.typed_data(), 1, dets);
    part.take_context(context, contexts);
    if (begins)
      std::fill(dcontexts, dcontexts + given * TILE, 0.f);
    else
      part.read(dcontext->typed_data(), given, dcontexts);
    through_network(networks[t], backs[t], scalar, part, kept(0), direct, dets, dcontexts,
                    [&](size_t l) { return kept(1 + l); });
    if (t == 0) {
      scatter(direct, order, dim, slopes);
      std::swap(direct, slopes);
    }
    part.write(direct, dim, dx->typed_data());
    part.write(dcontexts, given, dcontext->typed_data());
  };

  Schedule schedule(count, tiles(n), needs.pieces);
  const auto work = [&](int64_t i) {
    const Task task = schedule.task(i);
    if (task.tile < 0)
      piece_of_gradients(backs[task.network], task.piece);
    else
      through(task.network, task.tile);
    schedule.done(task);
  };
  in_parallel(pool, schedule.tasks(), work, [&](int64_t i) { return schedule.ready(schedule.task(i)); });
  return ffi::Error::Success();
}

template <typename Scalar>
auto to_base_back_binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Array>()
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

}  // namespace
}  // namespace densiflow

using namespace densiflow;

XLA_FFI_DEFINE_HANDLER_SYMBOL(made_to_base_back, to_base_back<Affine>, to_base_back_binding<Affine>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_shift_to_base_back, to_base_back<Shift>, to_base_back_binding<Shift>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(made_spline_to_base_back, to_base_back<Spline>, to_base_back_binding<Spline>());
