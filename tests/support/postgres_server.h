// A real PostgreSQL of a test program's own, on a Unix socket. PostgreSQL does not run as root, so where the tests do
// it gets another user. Making the cluster takes two seconds: one for each program (shared_postgres). Used by one test
// thread. The role pillion may do all; `guarded` (password "se cret/1") has to authenticate.
#pragma once

#include "tests/support/server_process.h"

#include <algorithm>
#include <atomic>
#include <pwd.h>

namespace pillion::test {

class PostgresServer {
  public:
    PostgresServer() : owner_(find_owner()), programs_(find_programs()) {
        if (owner_ != nullptr && chown(folder_.path().c_str(), owner_->pw_uid, owner_->pw_gid) != 0) {
            throw std::runtime_error("the temporary folder cannot be given away");
        }
        output_of(as_owner() + " " + programs_ + "/initdb -D " + data() +
                  " --no-sync -A trust -U pillion -E UTF8 --locale=C");
        std::ofstream(data() + "/pg_hba.conf") << "local all guarded scram-sha-256\nlocal all all trust\n";
        start();
        sql("CREATE ROLE guarded LOGIN PASSWORD 'se cret/1'");
    }

    void start() {
        std::vector<std::string> command;
        std::string words = as_owner();
        while (!words.empty()) {
            const std::size_t end = std::min(words.find(' '), words.size());
            if (end > 0) command.push_back(words.substr(0, end));
            words.erase(0, end + 1);
        }
        for (const std::string& word :
             {programs_ + "/postgres", std::string("-D"), data(), std::string("-k"), folder_.path()}) {
            command.push_back(word);
        }
        for (const char* const setting : {"listen_addresses=", "fsync=off", "max_connections=20", "shared_buffers=32MB",
                                          "superuser_reserved_connections=1", "autovacuum=off"}) {
            command.insert(command.end(), {"-c", setting});
        }
        process_.start(command, "database system is ready to accept connections");
    }
    // An immediate end, as a crash; what was committed to the disk stays.
    void kill() { process_.end(SIGQUIT); }
    void restart() {
        kill();
        start();
    }
    void freeze() const { process_.freeze(); }
    void thaw() const { process_.thaw(); }

    std::string url(const std::string& database = "postgres") const {
        return "host=" + folder_.path() + " user=pillion dbname=" + database;
    }
    std::string folder() const { return folder_.path(); }
    // What psql prints for a statement, columns separated by |.
    std::string sql(const std::string& statement, const std::string& database = "postgres") const {
        const std::string file = folder_.path() + "/statement" + std::to_string(statements_++) + ".sql";
        std::ofstream(file) << statement;
        return output_of(programs_ + "/psql -X -q -A -t -v ON_ERROR_STOP=1 -h " + folder_.path() + " -U pillion -d " +
                         database + " -f " + file);
    }

  private:
    static const passwd* find_owner() {
        if (geteuid() != 0) return nullptr;
        const passwd* const found = getpwnam("postgres");
        return found != nullptr ? found : getpwnam("nobody");
    }
    static std::string find_programs() {
        const std::filesystem::path root = "/usr/lib/postgresql";
        std::vector<std::string> found;
        if (std::filesystem::exists(root)) {
            for (const auto& version : std::filesystem::directory_iterator(root)) {
                if (std::filesystem::exists(version.path() / "bin/initdb")) found.push_back(version.path() / "bin");
            }
        }
        if (found.empty()) throw std::runtime_error("there is no /usr/lib/postgresql/*/bin/initdb; install postgresql");
        return *std::max_element(found.begin(), found.end());
    }
    std::string data() const { return folder_.path() + "/data"; }
    std::string as_owner() const {
        if (owner_ == nullptr) return "env";
        return "setpriv --reuid=" + std::to_string(owner_->pw_uid) + " --regid=" + std::to_string(owner_->pw_gid) +
               " --clear-groups --pdeathsig SIGKILL";
    }

    const passwd* owner_;
    mutable std::atomic<int> statements_{0};
    TemporaryFolder folder_;
    std::string programs_;
    ServerProcess process_; // last: ends before the folder goes
};

inline PostgresServer& shared_postgres() {
    static PostgresServer server;
    return server;
}

} // namespace pillion::test
