// What a call says of the network, and how its data come into tiles and leave them.
#pragma once

#include <cstring>
#include <vector>

#include "products.h"
#include "threads.h"

namespace densiflow {

namespace ffi = xla::ffi;
using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::Result<Array>;
using Reach = ffi::Span<const int32_t>;
using Orders = ffi::Buffer<ffi::S32>;

// Number t of a stack of equal arrays.
inline float* of(int64_t t, const Array& stacked) {
  return stacked.typed_data() + t * (stacked.element_count() / stacked.dimensions()[0]);
}

// The rows of data in one tile: zero beyond `count`, up to a whole number of vectors.
struct Part {
  int64_t n, start, count;
  int vectors;
  const float* context = nullptr;  // of these rows, a tile

  Part(int64_t tile, int64_t n)
      : n(n), start(tile * TILE), count(std::min<int64_t>(TILE, n - start)), vectors((count + LANES - 1) / LANES) {}

  // This tile of number t of a stack of arrays that are kept tile after tile: (depth, tiles, rows, TILE).
  float* of(const Array& kept, int64_t t) const {
    return densiflow::of(t, kept) + start * kept.dimensions()[2];
  }

  void read(const float* array, int64_t rows, float* tile) const {
    for (int64_t r = 0; r < rows; ++r, tile += TILE) {
      std::memcpy(tile, array + r * n + start, 4 * count);
      std::fill(tile + count, tile + vectors * LANES, 0.f);
    }
  }

  // The contexts (width, n) of these rows, in a tile.
  void take_context(const Array& contexts, float* tile) {
    read(contexts.typed_data(), contexts.dimensions()[0], tile);
    context = tile;
  }

  void write(const float* tile, int64_t rows, float* array) const {
    for (int64_t r = 0; r < rows; ++r) std::memcpy(array + r * n + start, tile + r * TILE, 4 * count);
  }
};

// Networks of a stack read columns in orders of their own: `orders` (depth + 1, dim) says for each network, listed from
// data to base, which columns of what comes before it are its own, and last of all which columns of the last one's are z.
inline void gather(const float* from, const int32_t* order, int64_t dim, float* to) {
  for (int64_t d = 0; d < dim; ++d) std::memcpy(to + d * TILE, from + order[d] * TILE, 4 * TILE);
}

inline void scatter(const float* from, const int32_t* order, int64_t dim, float* to) {
  for (int64_t d = 0; d < dim; ++d) std::memcpy(to + order[d] * TILE, from + d * TILE, 4 * TILE);
}

inline int64_t tiles(int64_t n) { return (n + TILE - 1) / TILE; }

enum Activation { RELU, TANH };

inline void activate(float* y, int64_t rows, int vectors, int64_t activation) {
  for (int64_t r = 0; r < rows; ++r, y += TILE)
    for (int c = 0; c < vectors; ++c) {
      const Vector v = load(y + c * LANES);
      store(y + c * LANES, activation == RELU ? (v < 0.f ? all(0.f) : v) : hyperbolic_tangent(v));
    }
}

// A product of the network and what is added to it: a bias, and the product of the context with weights of its own, bent
// by the activation first where there is a shift.
struct Layer : Weight {
  const float* bias;
  Weight context;  // (out, 0) where it reads none
  const float* shift;
  int64_t activation;

  // f(C c + shift), of the rows first .. last - 1.
  void bent_context(int64_t first, int64_t last, const Part& part, float* y) const {
    add_products(context, first, last, 0, context.in, part.context, shift + first, y, part.vectors);
    activate(y, last - first, part.vectors, activation);
  }

  // Where the sums of these rows begin: the bias to begin with, or none where y holds it already.
  const float* begin(int64_t first, int64_t last, const Part& part, float* y) const {
    if (!context.in) return bias + first;
    if (!shift) {
      add_products(context, first, last, 0, context.in, part.context, bias + first, y, part.vectors);
      return nullptr;
    }
    bent_context(first, last, part, y);
    for (int64_t r = first; r < last; ++r, y += TILE)
      for (int c = 0; c < part.vectors * LANES; c += LANES) store(y + c, load(y + c) + bias[r]);
    return nullptr;
  }
};

// The arrays of a layer, or their gradients: the weight, the bias, the context's weight, its shift; the latter two are
// empty where there are none.
constexpr size_t ARRAYS = 4;

// One network of a stack. The first columns may pass: they are read and not mapped, and the others have parameters.
// Networks alternate between places, each with shapes of its own; the arrays of all networks of a place are stacked.
struct Network {
  std::vector<Layer> layers;
  int64_t dim, passing, place, index;  // number `index` of those at its place
  int64_t height, widest;              // rows of all layers' outputs, and of the widest's or of x

  int64_t mapped() const { return dim - passing; }

  int64_t bytes() const {
    int64_t total = 0;
    for (const Layer& layer : layers) total += 4 * layer.out * layer.in;
    return total;
  }

  bool is_last(size_t l) const { return l + 1 == layers.size(); }
};

// Static numbers of a stack: of each place how many columns pass; of each layer what its rows reach, of the columns or
// units first and then of the context, place after place.
struct Shapes {
  ffi::Span<const int64_t> passing;
  Reach reach;
  int64_t activation;

  int64_t places() const { return passing.size(); }
};

// `arrays` begin with those of each place's layers, `depth` a network.
inline std::vector<Network> stack(int64_t dim, const Orders& orders, const ffi::RemainingArgs& arrays, size_t depth,
                                  const Shapes& shapes) {
  std::vector<Network> networks;
  std::vector<const int32_t*> reaches;  // where each place's begin
  for (int64_t t = 0; t + 1 < orders.dimensions()[0]; ++t) {
    const int64_t place = t % shapes.places(), index = t / shapes.places();
    Network net{{}, dim, shapes.passing[place], place, index, 0, dim};
    const auto array = [&](size_t l, size_t i) { return *arrays.get<Array>(ARRAYS * (depth * place + l) + i); };
    for (size_t l = 0; l < depth; ++l) net.height += array(l, 0).dimensions()[1];
    if (index == 0) reaches.push_back(t ? reaches.back() + 2 * networks.back().height : shapes.reach.begin());
    const int32_t* reach = reaches[place];
    for (size_t l = 0; l < depth; ++l) {
      const Array w = array(l, 0), context = array(l, 2), shift = array(l, 3);
      const int64_t out = w.dimensions()[1];
      const Weight own{of(index, w), reach, out, w.dimensions()[2]};
      const Weight given{of(index, context), reach + net.height, out, context.dimensions()[2]};
      const float* bends = shift.element_count() ? of(index, shift) : nullptr;
      net.layers.push_back({own, of(index, array(l, 1)), given, bends, shapes.activation});
      net.widest = std::max(net.widest, out);
      reach += out;
    }
    networks.push_back(std::move(net));
  }
  return networks;
}

template <typename Size>
int64_t largest(const std::vector<Network>& networks, const Size& size) {
  int64_t most = 0;
  for (const Network& net : networks) most = std::max<int64_t>(most, size(net));
  return most;
}

// How many networks a tile goes through before the next tile begins: as many as stay in the cache meanwhile.
inline int64_t together(const std::vector<Network>& networks) {
  constexpr int64_t CACHE = 1 << 19;
  const int64_t bytes = largest(networks, [](const Network& net) { return net.bytes(); });
  return std::max<int64_t>(1, CACHE / std::max<int64_t>(1, bytes));
}

// A scalar map is a struct of static numbers. It says how many parameters a column has, which stand TILE apart at theta,
// and maps one vector of a column: to_base and to_data. Its `back` takes the gradients of z and of the log of the slope
// dz/dx; it leaves the gradients of the parameters in place of these and gives that of x.
struct Mapped {
  Vector value, log_slope;
};

// A column mapped into `to`; the logs of its slopes are added to log_det.
template <typename Map>
void map_column(const Map& map, const float* from, float* to, float* log_det, int vectors) {
  for (int c = 0; c < vectors * LANES; c += LANES) {
    const Mapped mapped = map(c, load(from + c));
    store(to + c, mapped.value);
    store(log_det + c, load(log_det + c) + mapped.log_slope);
  }
}

}  // namespace densiflow
