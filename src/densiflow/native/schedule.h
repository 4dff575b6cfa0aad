// The order of work on the way back through a stack of networks, so that no thread waits for another for long.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace densiflow {

// A tile of data through one network, or a piece of the gradients of its weights.
struct Task {
  int64_t network, tile, piece;  // one of the latter two is -1
};

// First all tiles of the last network; then, from the last network to the first, the tiles of the one before it and the
// pieces of its own weights. A tile needs that it came through the network behind; a piece needs all tiles of its
// network. Two networks' memory is in use by turns: a tile overwrites what the pieces of the next but one have read.
class Schedule {
 public:
  Schedule(int64_t networks, int64_t tiles, int64_t pieces)
      : networks(networks), tiles(tiles), pieces(pieces), behind(tiles), tiles_done(networks), pieces_done(networks) {}

  int64_t tasks() const { return networks * (tiles + pieces); }

  Task task(int64_t i) const {
    if (i < tiles) return {networks - 1, i, -1};
    const int64_t network = networks - 1 - (i - tiles) / (tiles + pieces), at = (i - tiles) % (tiles + pieces);
    if (network == 0) return {0, -1, at};
    return at < tiles ? Task{network - 1, at, -1} : Task{network, -1, at - tiles};
  }

  bool ready(const Task& task) const {
    if (task.tile < 0) return tiles_done[task.network] == tiles;
    return behind[task.tile] == networks - 1 - task.network &&
           (task.network + 2 >= networks || pieces_done[task.network + 2] == pieces);
  }

  void done(const Task& task) {
    if (task.tile < 0) {
      ++pieces_done[task.network];
    } else {
      ++behind[task.tile];
      ++tiles_done[task.network];
    }
  }

 private:
  const int64_t networks, tiles, pieces;
  std::vector<std::atomic<int64_t>> behind;  // of each tile, through how many networks it came
  std::vector<std::atomic<int64_t>> tiles_done, pieces_done;
};

}  // namespace densiflow
