// A Markov model of order two with back-off by interpolation: what followed the last two names is blended with what
// followed the last one, and that with how often each name is used at all. The weight of each order is that of PPM's
// escape method C (Bell, Cleary, Witten: Text Compression, 1990; Witten and Bell, IEEE Trans. Inf. Theory 37, 1991), an
// interpolation in the manner of Jelinek and Mercer (1980) whose weights need no training: after t uses of T kinds, the
// order is believed t / (t + T). Kinds that have decayed below one use count as that fraction of a kind.
//
// Counts decay exponentially, with each use of the same context and with time, by one multiplication when the context
// is touched; so the model follows its user. A context that sees a seventh successor takes one off the lightest (Misra
// and Gries, 1982) and replaces it once it is lighter than a single use; what is lost stays in the total and is shared
// out by the lower order among names that the context does not hold (PPM's exclusion).
#include "modules/prediction/prediction_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

std::uint64_t hash_of(std::string_view name) { return XXH3_64bits(name.data(), name.size()); }

void append(std::string& bytes, const Successor& successor, std::uint64_t hash) {
    char row[12];
    std::memcpy(row, &hash, 8);
    std::memcpy(row + 8, &successor.weight, 4);
    bytes.append(row, sizeof row);
}

} // namespace

PredictionModel::PredictionModel(const PredictorOptions& options)
    : options_(options),
      use_decay_(static_cast<float>(options.half_life_uses > 0 ? std::exp2(-1 / options.half_life_uses) : 1)) {}

// ---- names

std::size_t PredictionModel::slot_of(std::uint64_t hash) const {
    const std::size_t mask = index_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(hash) & mask;
    while (index_[slot] != 0 && names_[index_[slot] - 1].hash != hash) slot = (slot + 1) & mask;
    return slot;
}

NameId PredictionModel::find(std::string_view name) const {
    if (index_.empty()) return 0;
    const std::uint32_t place = index_[slot_of(hash_of(name))];
    return place == 0 ? 0 : id_of(place - 1);
}

bool PredictionModel::is_known(NameId id) const {
    const std::size_t place = id & place_mask;
    return place > 0 && place <= names_.size() && names_[place - 1].text != nullptr &&
           names_[place - 1].generation == id >> place_bits;
}

std::string_view PredictionModel::text(NameId id) const { return {name_of(id).text.get(), name_of(id).bytes}; }

NameId PredictionModel::intern(std::string_view name, std::uint32_t minutes) {
    if (name.empty() || name.size() > std::min<std::size_t>(options_.name_bytes_max, 0xFFFF)) {
        ++refused_;
        return 0;
    }
    const std::uint64_t hash = hash_of(name);
    NameId id = 0;
    if (!index_.empty())
        if (const std::uint32_t place = index_[slot_of(hash)]; place != 0) id = id_of(place - 1);
    if (id == 0) {
        while (!names_.empty() && names_.size() > free_places_.size() &&
               (!is_room() || names_bytes_ + name.size() + name_overhead > options_.names_bytes_max))
            drop_lightest_name();
        id = add_name(name, hash);
    }
    touch_name(id, minutes);
    return id;
}

NameId PredictionModel::add_name(std::string_view name, std::uint64_t hash) {
    if (2 * (names_.size() - free_places_.size() + 1) > index_.size()) grow_index();
    std::size_t place = names_.size();
    if (free_places_.empty()) {
        if (names_.size() == names_.capacity())
            names_.reserve(std::min(std::max<std::size_t>(2 * names_.size(), 8), options_.names_max));
        names_.emplace_back();
    } else {
        place = free_places_.back();
        free_places_.pop_back();
    }
    Name& added = names_[place];
    added.text = std::make_unique_for_overwrite<char[]>(name.size());
    std::ranges::copy(name, added.text.get());
    added.bytes = static_cast<std::uint16_t>(name.size());
    added.hash = hash;
    added.weight = 0;
    added.is_unsaved = false;
    index_[slot_of(hash)] = static_cast<std::uint32_t>(place + 1);
    names_bytes_ += name.size() + name_overhead;
    return id_of(place);
}

void PredictionModel::grow_index() {
    index_.assign(std::max<std::size_t>(16, 2 * index_.size()), 0);
    for (std::size_t place = 0; place < names_.size(); ++place)
        if (names_[place].text) index_[slot_of(names_[place].hash)] = static_cast<std::uint32_t>(place + 1);
}

// Linear probing without tombstones: what stands behind the gap and may move into it does (Knuth, 6.4, Algorithm R).
void PredictionModel::erase_from_index(std::uint64_t hash) {
    const std::size_t mask = index_.size() - 1;
    std::size_t gap = slot_of(hash);
    for (std::size_t slot = (gap + 1) & mask; index_[slot] != 0; slot = (slot + 1) & mask) {
        const std::size_t home = static_cast<std::size_t>(names_[index_[slot] - 1].hash) & mask;
        if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
        index_[gap] = index_[slot];
        gap = slot;
    }
    index_[gap] = 0;
}

std::uint32_t PredictionModel::random_below(std::size_t limit) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return static_cast<std::uint32_t>(((random_ >> 32) * limit) >> 32);
}

void PredictionModel::drop_lightest_name() {
    std::optional<std::size_t> lightest;
    double weight = 0;
    for (int sample = 0; sample < 16 || !lightest; ++sample) {
        const std::size_t place = random_below(names_.size());
        if (!names_[place].text) continue;
        const double found = names_[place].weight * decay(names_[place].minutes, names_minutes_);
        if (lightest && found >= weight) continue;
        lightest = place;
        weight = found;
    }
    Name& name = names_[*lightest];
    const NameId id = id_of(*lightest);
    std::ranges::replace(top_, id, NameId{0});
    note_dropped({.last = name.hash, .before = 0, .is_name = true});
    erase_from_index(name.hash);
    names_bytes_ -= name.bytes + name_overhead;
    names_weight_ = std::max(0.0, names_weight_ - weight);
    name.text.reset();
    unsaved_names_ -= name.is_unsaved ? 1 : 0;
    name.is_unsaved = false;
    name.generation = (name.generation + 1) & (0xFFFFFFFFu >> place_bits);
    free_places_.push_back(static_cast<std::uint32_t>(*lightest));
    ++forgotten_;
}

double PredictionModel::decay(std::uint32_t from_minutes, std::uint32_t to_minutes) const {
    if (to_minutes <= from_minutes || options_.half_life_days <= 0) return 1;
    return std::exp2(-static_cast<double>(to_minutes - from_minutes) / (options_.half_life_days * 24 * 60));
}

void PredictionModel::touch_name(NameId id, std::uint32_t minutes) {
    Name& name = name_of(id);
    name.weight = static_cast<float>(name.weight * decay(name.minutes, minutes)) + 1;
    name.minutes = minutes;
    names_weight_ = names_weight_ * decay(names_minutes_, minutes) + 1;
    names_minutes_ = std::max(names_minutes_, minutes);
    keep_top(id);
    if (is_tracking_ && !name.is_unsaved) {
        name.is_unsaved = true;
        ++unsaved_names_;
    }
}

void PredictionModel::keep_top(NameId id) {
    if (std::ranges::find(top_, id) != top_.end()) return;
    NameId* const lightest = std::ranges::min_element(top_, {}, [this](NameId other) {
        return other == 0 ? 0.0 : name_of(other).weight * decay(name_of(other).minutes, names_minutes_);
    });
    if (*lightest == 0 ||
        name_of(id).weight > name_of(*lightest).weight * decay(name_of(*lightest).minutes, names_minutes_))
        *lightest = id;
}

// ---- contexts

std::size_t PredictionModel::bucket_of(NameId last, NameId before) const {
    std::uint64_t key = (static_cast<std::uint64_t>(before) << 32 | last) * 0x9E3779B97F4A7C15u;
    key = (key ^ key >> 32) * 0xD6E8FEB86659FD93u;
    const std::size_t buckets = contexts_.size() / bucket;
    return static_cast<std::size_t>(((key >> 32) * buckets) >> 32) * bucket;
}

const LearnedContext* PredictionModel::find_context(NameId last, NameId before) const {
    if (last == 0 || contexts_.empty()) return nullptr;
    const std::size_t first = bucket_of(last, before);
    for (std::size_t at = first; at < first + bucket; ++at)
        if (contexts_[at].last == last && contexts_[at].before == before) return &contexts_[at];
    return nullptr;
}

// Doubling splits each bucket in two, so nothing is lost by it.
void PredictionModel::grow_contexts() {
    const std::size_t buckets_max = std::max<std::size_t>(options_.contexts_max / bucket, 1);
    std::size_t buckets = 2 * contexts_.size() / bucket;
    if (contexts_.empty())
        for (buckets = buckets_max; buckets >= 4;) buckets /= 2;
    std::vector<LearnedContext> old(buckets * bucket);
    old.swap(contexts_);
    for (const LearnedContext& moved : old) {
        if (moved.last == 0) continue;
        const std::size_t first = bucket_of(moved.last, moved.before);
        for (std::size_t at = first; at < first + bucket; ++at)
            if (contexts_[at].last == 0) {
                contexts_[at] = moved;
                break;
            }
    }
}

LearnedContext& PredictionModel::context(NameId last, NameId before, std::uint32_t minutes) {
    if (contexts_.empty()) grow_contexts();
    while (true) {
        const std::size_t first = bucket_of(last, before);
        LearnedContext* lightest = nullptr;
        double weight = 0;
        for (std::size_t at = first; at < first + bucket; ++at) {
            LearnedContext& found = contexts_[at];
            if (found.last == last && found.before == before) return found;
            const double of_found = found.last == 0 ? -1 : found.total * decay(found.minutes, minutes);
            if (lightest != nullptr && of_found >= weight) continue;
            lightest = &found;
            weight = of_found;
        }
        if (lightest->last == 0) {
            ++contexts_count_;
        } else if (2 * contexts_.size() <= options_.contexts_max) {
            grow_contexts();
            continue;
        } else if (is_known(lightest->last) && (lightest->before == 0 || is_known(lightest->before))) {
            note_dropped({.last = name_of(lightest->last).hash,
                          .before = lightest->before == 0 ? 0 : name_of(lightest->before).hash,
                          .is_name = false});
        }
        unsaved_contexts_ -= lightest->is_unsaved;
        *lightest = {};
        lightest->last = last;
        lightest->before = before;
        lightest->minutes = minutes & 0x7FFFFFFFu;
        return *lightest;
    }
}

void PredictionModel::learn(NameId before, NameId last, NameId next, std::uint32_t minutes) {
    if (last == 0 || next == 0 || !is_known(last)) return;
    add(context(last, 0, minutes), next, minutes);
    if (before != 0 && is_known(before)) add(context(last, before, minutes), next, minutes);
}

void PredictionModel::add(LearnedContext& context, NameId next, std::uint32_t minutes) {
    const float factor = use_decay_ * static_cast<float>(decay(context.minutes, minutes));
    context.total = context.total * factor + 1;
    Successor* same = nullptr;
    Successor* lightest = &context.successors.front();
    for (Successor& successor : context.successors) {
        successor.weight *= factor;
        if (successor.name == next) same = &successor;
        if (successor.weight < lightest->weight) lightest = &successor;
    }
    if (same != nullptr)
        same->weight += 1;
    else if (lightest->weight < 1)
        *lightest = {next, 1};
    else
        lightest->weight -= 1;
    context.minutes = std::max<std::uint32_t>(context.minutes, minutes) & 0x7FFFFFFFu;
    if (is_tracking_ && context.is_unsaved == 0) {
        context.is_unsaved = 1;
        ++unsaved_contexts_;
    }
}

// ---- probabilities

PredictionModel::Reading PredictionModel::reading(NameId before, NameId last, std::uint32_t minutes) const {
    Reading reading{.last = last, .minutes = minutes};
    reading.names_weight = names_weight_ * decay(names_minutes_, minutes) + 1; // one use of something never seen
    if (options_.repeats == Repeats::ignored && last != 0 && is_known(last))
        reading.names_weight -= name_of(last).weight * decay(name_of(last).minutes, minutes);
    reading.names_weight = std::max(reading.names_weight, 1.0);
    reading.first = order(find_context(last, 0), reading, {});
    if (before != 0) reading.second = order(find_context(last, before), reading, reading.first);
    return reading;
}

double PredictionModel::unigram(const Reading& reading, NameId next) const {
    if (!is_known(next) || (options_.repeats == Repeats::ignored && next == reading.last)) return 0;
    const Name& name = name_of(next);
    return std::min(name.weight * decay(name.minutes, reading.minutes) / reading.names_weight, 1.0);
}

PredictionModel::Order PredictionModel::order(const LearnedContext* context, const Reading& reading,
                                              const Order& lower) const {
    Order order{.context = context};
    if (context == nullptr) return order;
    order.aged = decay(context->minutes, reading.minutes);
    double held = 0;
    double held_below = 0;
    for (const Successor& successor : context->successors) {
        if (successor.weight <= 0) continue;
        order.kinds += std::min(successor.weight * order.aged, 1.0);
        held += successor.weight * order.aged;
        held_below += lower.blend(successor.name, unigram(reading, successor.name));
    }
    order.total = std::max(context->total * order.aged, held);
    if (held_below < 0.999) order.lost_share = (order.total - held) / (1 - held_below);
    return order;
}

double PredictionModel::Order::blend(NameId next, double fallback) const {
    if (context == nullptr || total + kinds <= 0) return fallback;
    for (const Successor& successor : context->successors)
        if (successor.name == next && successor.weight > 0)
            return (successor.weight * aged + kinds * fallback) / (total + kinds);
    return (kinds + lost_share) * fallback / (total + kinds);
}

double PredictionModel::probability(const Reading& reading, NameId next) const {
    return std::min(reading.second.blend(next, reading.first.blend(next, unigram(reading, next))), 1.0);
}

double PredictionModel::probability(NameId before, NameId last, NameId next, std::uint32_t minutes) const {
    return next == 0 ? 0 : probability(reading(before, last, minutes), next);
}

std::vector<PredictionModel::Candidate> PredictionModel::candidates(NameId before, NameId last,
                                                                    std::uint32_t minutes) const {
    const Reading reading = this->reading(before, last, minutes);
    std::vector<Candidate> found;
    const auto consider = [&](NameId id) {
        if (!is_known(id) || std::ranges::find(found, id, &Candidate::name) != found.end()) return;
        if (id == last && options_.repeats == Repeats::ignored) return;
        found.push_back({id, probability(reading, id)});
    };
    found.reserve(top_max + 2 * LearnedContext::successors_max);
    for (const Order* const order : {&reading.second, &reading.first})
        if (order->context != nullptr)
            for (const Successor& successor : order->context->successors) consider(successor.name);
    for (const NameId id : top_) consider(id);
    std::ranges::sort(found, std::ranges::greater{}, &Candidate::probability);
    return found;
}

// ---- rows of the store

void PredictionModel::note_dropped(const Dropped& dropped) {
    if (is_tracking_ && dropped_.size() < dropped_max) dropped_.push_back(dropped);
}

void PredictionModel::take_names(Changes& changes, std::size_t rows_max) {
    for (; unsaved_names_ > 0 && changes.names.size() < rows_max; ++name_cursor_) {
        if (name_cursor_ >= names_.size()) name_cursor_ = 0;
        Name& name = names_[name_cursor_];
        if (!name.is_unsaved) continue;
        name.is_unsaved = false;
        --unsaved_names_;
        changes.names.push_back({name.hash, std::string(name.text.get(), name.bytes), name.weight, name.minutes});
    }
}

void PredictionModel::take_contexts(Changes& changes, std::size_t rows_max) {
    for (; unsaved_contexts_ > 0 && changes.contexts.size() < rows_max; ++context_cursor_) {
        if (context_cursor_ >= contexts_.size()) context_cursor_ = 0;
        LearnedContext& found = contexts_[context_cursor_];
        if (found.is_unsaved == 0) continue;
        found.is_unsaved = 0;
        --unsaved_contexts_;
        if (!is_known(found.last) || (found.before != 0 && !is_known(found.before))) continue;
        ContextRow row{name_of(found.last).hash,
                       found.before == 0 ? 0 : name_of(found.before).hash,
                       found.total,
                       found.minutes,
                       {}};
        for (const Successor& successor : found.successors)
            if (successor.weight > 0 && is_known(successor.name))
                append(row.successors, successor, name_of(successor.name).hash);
        changes.contexts.push_back(std::move(row));
    }
}

PredictionModel::Changes PredictionModel::take_changes(std::size_t rows_max) {
    Changes changes;
    std::size_t rows = 0;
    for (; !dropped_.empty() && rows < rows_max; ++rows) {
        const Dropped dropped = dropped_.back();
        dropped_.pop_back();
        if (dropped.is_name)
            changes.dropped_names.push_back(dropped.last);
        else
            changes.dropped_contexts.emplace_back(dropped.last, dropped.before);
    }
    take_names(changes, rows_max - rows);
    take_contexts(changes, rows_max - rows - changes.names.size());
    return changes;
}

void PredictionModel::restore(const NameRow& row) {
    if (row.text.empty() || row.text.size() > std::min<std::size_t>(options_.name_bytes_max, 0xFFFF)) return;
    if (!is_room() || names_bytes_ + row.text.size() + name_overhead > options_.names_bytes_max) return;
    if (hash_of(row.text) != row.hash || !std::isfinite(row.weight) || row.weight < 0 || find(row.text) != 0) return;
    const NameId id = add_name(row.text, row.hash);
    Name& name = name_of(id);
    name.weight = static_cast<float>(row.weight);
    name.minutes = row.minutes;
    if (row.minutes > names_minutes_) {
        names_weight_ *= decay(names_minutes_, row.minutes);
        names_minutes_ = row.minutes;
    }
    names_weight_ += name.weight * decay(row.minutes, names_minutes_);
    keep_top(id);
}

void PredictionModel::restore(const ContextRow& row) {
    const auto id_with = [this](std::uint64_t hash) -> NameId {
        const std::uint32_t place = index_.empty() ? 0 : index_[slot_of(hash)];
        return place == 0 ? 0 : id_of(place - 1);
    };
    const NameId last = id_with(row.last);
    const NameId before = row.before == 0 ? 0 : id_with(row.before);
    if (last == 0 || (row.before != 0 && before == 0) || !std::isfinite(row.total) || row.total <= 0) return;
    if (find_context(last, before) != nullptr || contexts_count_ >= options_.contexts_max) return;
    LearnedContext& restored = context(last, before, row.minutes);
    restored.total = static_cast<float>(row.total);
    std::size_t place = 0;
    for (std::size_t at = 0; at + 12 <= row.successors.size() && place < restored.successors.size(); at += 12) {
        std::uint64_t hash = 0;
        float weight = 0;
        std::memcpy(&hash, row.successors.data() + at, 8);
        std::memcpy(&weight, row.successors.data() + at + 8, 4);
        if (const NameId id = id_with(hash); id != 0 && std::isfinite(weight) && weight > 0)
            restored.successors[place++] = {id, weight};
    }
}

void PredictionModel::fill(PredictorStats& stats) const {
    stats.names = names_.size() - free_places_.size();
    stats.contexts = contexts_count_;
    stats.forgotten_names = forgotten_;
    stats.refused_names = refused_;
    stats.unsaved = unsaved();
    stats.bytes = sizeof *this + names_.capacity() * sizeof(Name) + index_.capacity() * sizeof(std::uint32_t) +
                  free_places_.capacity() * sizeof(std::uint32_t) + names_bytes_ +
                  contexts_.capacity() * sizeof(LearnedContext) + dropped_.capacity() * sizeof(Dropped);
}

} // namespace pillion
