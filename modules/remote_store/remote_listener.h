// Hears what other machines invalidate: keeps a connection (an ear) open, on a thread of its own, and says when it
// could not hear. Private to this module. Owned by a remote tier; any thread may call, the listener is called on its
// thread.
#pragma once

#include "modules/remote_store/remote_worker.h"

namespace pillion {

class RemoteListener {
  public:
    using Heard = std::function<void(const CacheTier::Notice&)>;
    // What `origin` says itself, and what concerns other apps, is not passed on.
    RemoteListener(std::unique_ptr<RemoteEar> ear, const RemoteLimits& limits, std::string origin, std::string app,
                   Heard heard);
    ~RemoteListener() { stop(); }
    RemoteListener(const RemoteListener&) = delete;

    // Starts the thread at the first call; waits until it hears, or cannot for now.
    void wait_for_first_attempt();
    // The server was reached: a good moment to try again.
    void kick();
    void stop();

  private:
    void run();
    void settle();
    void pause();
    void pass_on(const std::string& message);
    bool is_stopping() const;

    const std::unique_ptr<RemoteEar> ear_;
    const std::string origin_;
    const std::string app_;
    const Heard heard_;
    const WakeDescriptor rung_;

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable wake_;
    bool is_settled_ = false; // the first attempt is over
    bool is_stopping_ = false;
    bool is_kicked_ = false;
    std::thread thread_;

    RemoteBackoff backoff_; // of the listener's thread
};

} // namespace pillion
