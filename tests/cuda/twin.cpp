#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks
#include "twin.h"

#include <ucontext.h>

#include <cstring>

namespace twin {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr unsigned kWarp = 32;

struct Fibre {
  ucontext_t start;
  std::jmp_buf state;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  bool started = false;
  bool done = false;
  bool waiting = false;
  Kind kind = Kind::kNone;
  Site site{"", 0};
  std::uint64_t value = 0;
  std::uint64_t result = 0;
  unsigned source = 0;
  std::vector<PendingCopy> copies;
};

thread_local Block* Block::current_ = nullptr;

Block::Block(unsigned threads, std::size_t shared_bytes, Order order, std::uint64_t seed)
    : threads_(threads),
      order_(order),
      random_(seed * 2 + 1),
      warp_barriers_(threads / kWarp, 0),
      shared_(shared_bytes / 8 + 2),
      shadows_(shared_bytes / 4 + 4) {
  for (unsigned t = 0; t < threads; ++t) fibres_.push_back(std::make_unique<Fibre>());
}

Block::~Block() = default;

std::uint64_t Block::random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

void Block::fail(const std::string& what) {
  if (error_.empty()) {
    error_ = "block " + std::to_string(block_index_) + ", thread " + std::to_string(running_) +
             ": " + what;
  }
}

bool Block::run(unsigned block_index, unsigned grid_size, const std::function<void()>& body) {
  current_ = this;
  block_index_ = block_index;
  grid_size_ = grid_size;
  body_ = body;
  error_.clear();
  for (Shadow& shadow : shadows_) shadow.copier = -1;
  ++clock_;
  block_barrier_ = clock_;
  for (auto& fibre : fibres_) {
    fibre->started = fibre->done = fibre->waiting = false;
    fibre->copies.clear();
    getcontext(&fibre->start);
    fibre->start.uc_stack.ss_sp = fibre->stack.get();
    fibre->start.uc_stack.ss_size = kStackBytes;
    fibre->start.uc_link = nullptr;
    makecontext(&fibre->start, &Block::enter, 0);
  }
  while (schedule()) {
  }
  return error_.empty();
}

bool Block::is_ready(unsigned thread) const {
  return !fibres_[thread]->done && !fibres_[thread]->waiting;
}

/// Runs some threads; false when all are done or something is wrong.
bool Block::schedule() {
  std::vector<unsigned> ready;
  bool alive = false;
  for (unsigned n = 0; n < threads_; ++n) {
    const unsigned t = order_ == Order::kDescending ? threads_ - 1 - n : n;
    alive |= !fibres_[t]->done;
    if (is_ready(t)) ready.push_back(t);
  }
  if (!error_.empty() || !alive) return false;
  if (ready.empty()) {
    fail("deadlock: threads wait at a collective that others will not reach");
    return false;
  }
  if (order_ == Order::kRandom) {
    // A few of them, in any order: the rest stays behind.
    for (std::uint64_t n = 1 + random() % ready.size(); n > 0; --n) {
      const unsigned t = ready[random() % ready.size()];
      if (is_ready(t)) resume(t);
    }
  } else {
    for (const unsigned t : ready) {
      if (is_ready(t)) resume(t);
    }
  }
  return true;
}

void Block::resume(unsigned thread) {
  running_ = thread;
  Fibre& fibre = *fibres_[thread];
  if (_setjmp(scheduler_) != 0) return;
  if (fibre.started) _longjmp(fibre.state, 1);
  fibre.started = true;
  setcontext(&fibre.start);
}

void Block::to_scheduler() {
  if (_setjmp(fibres_[running_]->state) == 0) _longjmp(scheduler_, 1);
}

void Block::enter() {
  Block& block = current();
  block.body_();
  block.fibres_[block.running_]->done = true;
  block.to_scheduler();
}

/// How many threads meet at a collective, from `first` on.
unsigned Block::expected(Kind kind, unsigned thread, unsigned& first) const {
  first = kind == Kind::kSyncBlock ? 0 : thread / kWarp * kWarp;
  return kind == Kind::kSyncBlock ? threads_ : kWarp;
}

/// True: all threads have come, and have their results.
bool Block::complete(Kind kind, unsigned thread) {
  unsigned first;
  const unsigned count = expected(kind, thread, first);
  const Fibre& me = *fibres_[thread];
  std::uint64_t votes = 0;
  for (unsigned t = first; t < first + count; ++t) {
    const Fibre& other = *fibres_[t];
    if (!other.waiting) return false;
    const bool same_place = other.kind == kind && other.site.line == me.site.line &&
                            std::string(other.site.file) == me.site.file;
    if (!same_place) {
      // Another warp may still be at a collective of its own.
      if (t / kWarp == thread / kWarp || other.kind == Kind::kSyncBlock) {
        fail("meets at line " + std::to_string(me.site.line) + ", thread " + std::to_string(t) +
             " at line " + std::to_string(other.site.line));
      }
      return false;
    }
    if (kind == Kind::kBallot && other.value != 0) votes |= std::uint64_t{1} << (t - first);
  }
  ++collectives_;
  ++clock_;
  // Votes and shuffles order no memory.
  if (kind == Kind::kSyncBlock) block_barrier_ = clock_;
  if (kind == Kind::kSyncWarp) warp_barriers_[thread / kWarp] = clock_;
  for (unsigned t = first; t < first + count; ++t) {
    Fibre& other = *fibres_[t];
    other.waiting = false;
    other.result = kind == Kind::kShuffle ? fibres_[first + other.source % kWarp]->value : votes;
  }
  return true;
}

std::uint64_t Block::meet(Kind kind, std::uint64_t value, unsigned source, Site site) {
  Fibre& me = *fibres_[running_];
  me.waiting = true;
  me.kind = kind;
  me.value = value;
  me.source = source;
  me.site = site;
  // Whoever completes it in random order gets no head start either.
  if (!complete(kind, running_) || order_ == Order::kRandom) to_scheduler();
  return me.result;
}

/// Accesses of two threads before this time are ordered.
std::uint64_t Block::epoch(unsigned reader, unsigned other) const {
  const bool same_warp = reader / kWarp == other / kWarp;
  const std::uint64_t warp = warp_barriers_[reader / kWarp];
  return same_warp && warp > block_barrier_ ? warp : block_barrier_;
}

/// Whether what another thread did at `time` and what this one does now have no barrier between.
bool Block::races_with(int other, std::uint64_t time) const {
  return other >= 0 && other != static_cast<int>(running_) &&
         time >= epoch(running_, static_cast<unsigned>(other));
}

std::string name(Place where) {
  return where.global ? "global memory" : "shared byte " + std::to_string(where.shared_byte);
}

void Block::expect_no_write(const Shadow& shadow, Place where, const char* what) {
  if (!races_with(shadow.writer, shadow.write_epoch)) return;
  fail(std::string("race: ") + what + " " + name(where) + " that thread " +
       std::to_string(shadow.writer) + " wrote");
}

void Block::expect_no_merge(const Shadow& shadow, Place where, const char* what) {
  if (races_with(shadow.merger, shadow.merge_epoch) ||
      races_with(shadow.other_merger, shadow.merge_epoch)) {
    fail(std::string("race: ") + what + " " + name(where) + " that atomic operations change");
  }
}

void Block::expect_no_read(const Shadow& shadow, Place where) {
  const bool same = shadow.reader == static_cast<int>(running_);
  const int reader = same ? shadow.other_reader : shadow.reader;
  if (!races_with(reader, shadow.read_epoch)) return;
  fail("race: writes " + name(where) + " that thread " + std::to_string(reader) + " reads");
}

void Block::expect_no_copy(const Shadow& shadow, Place where, const char* what) {
  if (shadow.copier < 0) return;
  fail(std::string("race: ") + what + " " + name(where) + ", to where a copy of thread " +
       std::to_string(shadow.copier) + " is under way");
}

void Block::read(Shadow& shadow, Place where) {
  const int me = static_cast<int>(running_);
  expect_no_copy(shadow, where, "reads");
  expect_no_write(shadow, where, "reads");
  expect_no_merge(shadow, where, "reads");
  if (shadow.reader != me) shadow.other_reader = shadow.reader;
  shadow.reader = me;
  shadow.read_epoch = clock_;
}

void Block::write(Shadow& shadow, Place where) {
  expect_no_copy(shadow, where, "writes");
  expect_no_write(shadow, where, "writes");
  expect_no_merge(shadow, where, "writes");
  expect_no_read(shadow, where);
  shadow = Shadow{};
  shadow.writer = static_cast<int>(running_);
  shadow.write_epoch = clock_;
}

void Block::merge(Shadow& shadow, Place where) {
  const int me = static_cast<int>(running_);
  expect_no_copy(shadow, where, "changes");
  expect_no_write(shadow, where, "writes");
  expect_no_read(shadow, where);
  if (shadow.merger != me) {
    shadow.other_merger = races_with(shadow.merger, shadow.merge_epoch) ? shadow.merger : -1;
  }
  shadow.merger = me;
  shadow.merge_epoch = clock_;
}

void Block::maybe_pause() {
  if (order_ == Order::kRandom && random() % 4 == 0) to_scheduler();
}

template <typename Note>
char* Block::shared_access(std::size_t offset, std::size_t size, const Note& note) {
  maybe_pause();
  if (offset + size > shared_.size() * 8 - 16 || offset % size != 0) {
    fail(offset % size != 0 ? "an access to shared memory is not aligned"
                            : "shared memory is too small");
    offset = 0;
  }
  for (std::size_t byte = offset / 4 * 4; byte < offset + size && error_.empty(); byte += 4) {
    note(shadows_[byte / 4], {byte, false});
  }
  return reinterpret_cast<char*>(shared_.data()) + offset;
}

void* Block::shared_read(std::size_t offset, std::size_t size) {
  return shared_access(offset, size, [this](Shadow& shadow, Place where) { read(shadow, where); });
}

void* Block::shared_write(std::size_t offset, std::size_t size) {
  return shared_access(offset, size, [this](Shadow& shadow, Place where) { write(shadow, where); });
}

void* Block::shared_merge(std::size_t offset, std::size_t size) {
  return shared_access(offset, size, [this](Shadow& shadow, Place where) { merge(shadow, where); });
}

void Block::shared_copy(std::size_t offset, const void* source, std::size_t size) {
  shared_access(offset, size, [this](Shadow& shadow, Place where) {
    write(shadow, where);
    shadow.copier = static_cast<int>(running_);
  });
  fibres_[running_]->copies.push_back({offset, source, size});
}

void Block::wait_for_copies() {
  std::vector<PendingCopy>& copies = fibres_[running_]->copies;
  for (const PendingCopy& copy : copies) {
    char* target = shared_access(copy.target, copy.size, [this](Shadow& shadow, Place where) {
      shadow.copier = -1;
      write(shadow, where);  // who reads it now needs a barrier
    });
    std::memcpy(target, copy.source, copy.size);
  }
  copies.clear();
}

void Block::global_read(const void* address) {
  maybe_pause();
  read(global_shadows_[address], {0, true});
}

void Block::global_write(const void* address) {
  maybe_pause();
  write(global_shadows_[address], {0, true});
}

}  // namespace twin
