// One form for every benchmark's outcome: a row is a figure for each peer, the reference that the goal
// names, the ratio and the verdict. A benchmark owns one Report and fills it from its main thread.
#pragma once

#include "machine.h"

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace pillion::bench {

// Bounds on the ratio to the reference, on the figure itself, or on both; without any there is no verdict.
struct Goal {
    std::optional<double> ratio_max = std::nullopt;
    std::optional<double> ratio_min = std::nullopt;
    std::optional<double> figure_max = std::nullopt;
    std::optional<double> figure_min = std::nullopt;
};

enum class Verdict { pass, miss, none, failed };

// What one peer was measured at, one sample per round. A peer that failed says why and has no samples.
struct PeerFigure {
    std::string peer;
    std::vector<double> samples = {};
    std::string failure = {};
};

struct Row {
    std::string key;   // stable name in the JSON
    std::string title; // what a person reads
    std::string unit;
    std::string reference; // the peer that the ratio is taken against; empty if the goal is absolute
    Goal goal = {};
    std::vector<PeerFigure> figures = {};
    std::string note = {};

    const PeerFigure* find(const std::string& peer) const;
};

class Report {
  public:
    // `subject` is the peer that is judged; `build` says which build of it was measured.
    Report(std::string title, std::string subject, std::string build);

    void add(Row row) { rows_.push_back(std::move(row)); }

    // True if a figure that should exist does not: the subject failed in some row.
    bool has_failures() const;

    void print(std::ostream& out) const;
    // Creates the file's directory if need be. False if the file cannot be written.
    bool write_json(const std::string& path) const;

  private:
    std::optional<double> figure(const Row& row, const std::string& peer) const;
    std::optional<double> ratio(const Row& row) const;
    Verdict verdict(const Row& row) const;
    void print_header(std::ostream& out) const;
    void print_goals(std::ostream& out) const;
    void print_peers(std::ostream& out) const;
    void print_notes(std::ostream& out) const;

    std::string title_;
    std::string subject_;
    std::string build_;
    Machine machine_;
    std::vector<Row> rows_;
};

} // namespace pillion::bench
