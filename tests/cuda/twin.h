/// A GPU block on the host: one fibre a thread, all on one OS thread.
///
/// A fibre starts on a stack of its own (ucontext) and is switched by setjmp and longjmp. It runs
/// until it meets a collective, where it waits for the other threads of its warp (or block). What
/// a GPU would leave undefined is reported: threads of a warp that meet at different collectives
/// (told apart by source line), collectives that never complete, and shared memory that is read
/// and written by two threads with no barrier between them.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace twin {

enum class Order { kAscending, kDescending, kRandom };
enum class Kind : std::uint8_t { kNone, kBallot, kShuffle, kSyncWarp, kSyncBlock };

/// What tests break on purpose, to see whether they notice: the barriers of warps or of blocks are
/// left out, the order of the lanes is turned round, or nobody waits for copies.
enum class Defect { kNone, kNoBarrier, kNoBlockBarrier, kLaneOrder, kNoWait };
inline Defect defect = Defect::kNone;

/// Where a collective stands in the source.
struct Site {
  const char* file;
  int line;
};

struct Fibre;

/// An asynchronous copy into shared memory. Nothing comes before its thread waits for it.
struct PendingCopy {
  std::size_t target;
  const void* source;
  std::size_t size;
};

/// Who touched an element of shared memory since the last barrier that orders its accesses.
struct Shadow {
  int copier = -1;  ///< a copy to here is under way
  int writer = -1;
  std::uint64_t write_epoch = 0;
  int reader = -1;
  int other_reader = -1;
  std::uint64_t read_epoch = 0;
  int merger = -1;  ///< atomic operations may meet each other
  int other_merger = -1;
  std::uint64_t merge_epoch = 0;
};

/// What errors call a piece of memory: a byte of shared memory, or anywhere in global memory.
struct Place {
  std::size_t shared_byte;
  bool global;
};

class Block {
 public:
  Block(unsigned threads, std::size_t shared_bytes, Order order, std::uint64_t seed);
  ~Block();

  /// Runs the threads of one block. False: see `error()`.
  bool run(unsigned block_index, unsigned grid_size, const std::function<void()>& body);
  const std::string& error() const { return error_; }
  std::uint64_t collectives() const { return collectives_; }

  // What the facade asks for, on behalf of the running thread.
  static Block& current() { return *current_; }
  unsigned thread() const { return running_; }
  unsigned threads() const { return threads_; }
  unsigned block_index() const { return block_index_; }
  unsigned grid_size() const { return grid_size_; }
  std::uint64_t meet(Kind kind, std::uint64_t value, unsigned source, Site site);
  void* shared_read(std::size_t offset, std::size_t size);
  void* shared_write(std::size_t offset, std::size_t size);
  void* shared_merge(std::size_t offset, std::size_t size);
  void shared_copy(std::size_t offset, const void* source, std::size_t size);
  void wait_for_copies();
  void global_read(const void* address);
  void global_write(const void* address);
  void fail(const std::string& what);

 private:
  static void enter();
  void resume(unsigned thread);
  void to_scheduler();
  bool schedule();
  bool is_ready(unsigned thread) const;
  unsigned expected(Kind kind, unsigned thread, unsigned& first) const;
  bool complete(Kind kind, unsigned thread);
  std::uint64_t random();
  std::uint64_t epoch(unsigned reader, unsigned other) const;
  /// Calls `note(shadow, place)` for each word of 4 bytes; returns where the first is. What lies
  /// past the end or is not aligned is reported, and stands at 0.
  template <typename Note>
  char* shared_access(std::size_t offset, std::size_t size, const Note& note);
  void expect_no_copy(const Shadow& shadow, Place where, const char* what);
  bool races_with(int other, std::uint64_t time) const;
  void expect_no_write(const Shadow& shadow, Place where, const char* what);
  void expect_no_merge(const Shadow& shadow, Place where, const char* what);
  void expect_no_read(const Shadow& shadow, Place where);
  void read(Shadow& shadow, Place where);
  void write(Shadow& shadow, Place where);
  void maybe_pause();
  void merge(Shadow& shadow, Place where);

  static thread_local Block* current_;
  unsigned threads_;
  unsigned running_ = 0;
  unsigned block_index_ = 0;
  unsigned grid_size_ = 1;
  Order order_;
  std::uint64_t random_;
  std::uint64_t collectives_ = 0;
  std::uint64_t clock_ = 1;
  std::uint64_t block_barrier_ = 0;           ///< the clock at the last sync_block
  std::vector<std::uint64_t> warp_barriers_;  ///< and at each warp's last sync_warp
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::jmp_buf scheduler_;
  std::function<void()> body_;
  std::vector<std::uint64_t> shared_;
  std::vector<Shadow> shadows_;
  std::unordered_map<const void*, Shadow> global_shadows_;
  std::string error_;
};

}  // namespace twin
