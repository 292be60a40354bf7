// Where keys come from, and what is refused as one.
#include "modules/value_codec/value_codec.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace pillion;

namespace {

const std::string hex_key = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
const std::string base64_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
// printf of the 32 bytes 00..1f | sha256sum: 630dcd29...
constexpr std::uint32_t known_id = 0x630dcd29;

struct Fixture {
    TemporaryFolder folder;
    const KeyRingOptions file{.source = KeySource::file, .path = folder.path() + "/key"};

    void write(const std::string& text, mode_t mode = 0600) const {
        std::ofstream(file.path) << text;
        chmod(file.path.c_str(), mode);
    }
    Error refusal(const KeyRingOptions& options) const {
        const auto ring = KeyRing::open(options);
        REQUIRE_FALSE(ring);
        return ring.error();
    }
    Error refusal_of(const std::string& text) const {
        write(text);
        return refusal(file);
    }
};

} // namespace

TEST_CASE("a key is read as hex and as base64, with and without padding", "[key_ring]") {
    Fixture it;
    for (const std::string& text : {hex_key, base64_key, base64_key.substr(0, 43), "\n  " + hex_key + "\r\n"}) {
        it.write(text);
        const auto ring = KeyRing::open(it.file);
        REQUIRE(ring);
        CHECK(ring->keys().size() == 1);
        CHECK(ring->current().id() == known_id);
        for (unsigned i = 0; i < 32; ++i) CHECK(ring->current().bytes()[i] == i);
    }
}

TEST_CASE("the first key is the current one, the others still open", "[key_ring]") {
    Fixture it;
    it.write(std::string(64, 'a') + "," + hex_key + "\n" + std::string(43, 'A') + "=");
    const auto ring = KeyRing::open(it.file);
    REQUIRE(ring);
    REQUIRE(ring->keys().size() == 3);
    CHECK(ring->current().bytes()[0] == 0xaa);
    CHECK(ring->find(known_id) == &ring->keys()[1]);
    CHECK(ring->find(known_id + 1) == nullptr);
}

TEST_CASE("what is no key is refused without being repeated", "[key_ring]") {
    Fixture it;
    for (const std::string& text :
         {hex_key.substr(1), hex_key + "00", std::string("hunter2"), std::string(64, 'g'), base64_key.substr(1),
          "!" + base64_key, std::string(42, 'A') + "B", hex_key + " hunter2"}) {
        const Error error = it.refusal_of(text);
        CHECK(error.code == ErrorCode::invalid_params);
        CHECK_THAT(error.message, Catch::Contains("64 digits"));
        CHECK(error.message.find("hunter2") == std::string::npos);
        CHECK(error.message.find(text) == std::string::npos);
    }
    CHECK(it.refusal_of("").code == ErrorCode::not_found);
    CHECK(it.refusal_of(" \n").code == ErrorCode::not_found);
}

TEST_CASE("a key file that others may read is refused", "[key_ring]") {
    Fixture it;
    for (const mode_t mode : {0640U, 0604U, 0620U, 0644U}) {
        it.write(hex_key, mode);
        const Error error = it.refusal(it.file);
        CHECK(error.code == ErrorCode::denied);
        CHECK_THAT(error.hint, Catch::Contains("chmod 600"));
    }
    it.write(hex_key, 0400);
    CHECK(KeyRing::open(it.file));
}

TEST_CASE("an absent key file is made, for its owner alone, and kept", "[key_ring]") {
    Fixture it;
    const auto made = KeyRing::open(it.file);
    REQUIRE(made);
    struct stat facts {};
    REQUIRE(stat(it.file.path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    CHECK(KeyRing::open(it.file)->current().id() == made->current().id());
    CHECK(std::distance(std::filesystem::directory_iterator(std::filesystem::path(it.file.path).parent_path()), {}) ==
          1);
}

TEST_CASE("an absent key file is an error where none shall be made, as is one in no folder", "[key_ring]") {
    Fixture it;
    KeyRingOptions options = it.file;
    options.when_absent = WhenAbsent::refuse;
    CHECK(it.refusal(options).code == ErrorCode::not_found);
    options = it.file;
    options.path = it.folder.path() + "/no/such/key";
    CHECK(it.refusal(options).code == ErrorCode::unavailable);
    options.path = std::filesystem::path(it.file.path).parent_path();
    CHECK(it.refusal(options).code == ErrorCode::unavailable);
}

TEST_CASE("a ring keeps its newest sixteen keys", "[key_ring]") {
    Fixture it;
    for (int rotations = 0; rotations < 20; ++rotations) {
        auto ring = KeyRing::open(it.file);
        REQUIRE(ring);
        const auto rotated = ring->rotated(it.file);
        REQUIRE(rotated);
        CHECK(rotated->keys()[1].id() == ring->current().id());
    }
    CHECK(KeyRing::open(it.file)->keys().size() == KeyRing::keys_max);
}

TEST_CASE("a key comes from the environment, and is not changed there", "[key_ring]") {
    Fixture it;
    const KeyRingOptions options{.source = KeySource::environment, .variable = "PILLION_TEST_KEY"};
    unsetenv("PILLION_TEST_KEY");
    CHECK(it.refusal(options).code == ErrorCode::not_found);
    setenv("PILLION_TEST_KEY", base64_key.c_str(), 1);
    const auto ring = KeyRing::open(options);
    REQUIRE(ring);
    CHECK(ring->current().id() == known_id);
    CHECK(ring->rotated(options).error().code == ErrorCode::failed_precondition);
    unsetenv("PILLION_TEST_KEY");
}

TEST_CASE("without a session bus the keyring is unavailable, at once", "[key_ring]") {
    Fixture it;
    const char* const bus = std::getenv("DBUS_SESSION_BUS_ADDRESS");
    const std::string kept = bus != nullptr ? bus : "";
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
    const Error error = it.refusal({.source = KeySource::keyring, .app = "pillion-test"});
    CHECK(error.code == ErrorCode::unavailable);
    CHECK_THAT(error.message, Catch::Contains("session bus"));
    if (bus != nullptr) setenv("DBUS_SESSION_BUS_ADDRESS", kept.c_str(), 1);
}

// Run inside a session of its own by the test below.
TEST_CASE("keys are made, found and rotated in the keyring", "[.in_session]") {
    const KeyRingOptions options{.source = KeySource::keyring, .app = "pillion-test"};
    KeyRingOptions careful = options;
    careful.when_absent = WhenAbsent::refuse;
    CHECK(KeyRing::open(careful).error().code == ErrorCode::not_found);
    const auto made = KeyRing::open(options);
    if (!made) FAIL(made.error().message);
    CHECK(KeyRing::open(careful)->current().id() == made->current().id());
    const auto rotated = made->rotated(options);
    REQUIRE(rotated);
    CHECK(KeyRing::open(careful)->current().id() == rotated->current().id());
    CHECK(KeyRing::open(careful)->find(made->current().id()) != nullptr);
    CHECK(
        KeyRing::open({.source = KeySource::keyring, .app = "other", .when_absent = WhenAbsent::refuse}).error().code ==
        ErrorCode::not_found);
}

TEST_CASE("keys live in the keyring of a session", "[key_ring]") {
    TemporaryFolder home;
    const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
    const std::string script =
        "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec '" + self +
        "' '[.in_session]'";
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (const char* const name : {"HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"})
            setenv(name, home.path().c_str(), 1);
        // Stays when the session ends, unless it hears of it.
        execlp("dbus-run-session", "dbus-run-session", "--", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
        _exit(127);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0); // 127: dbus-run-session or gnome-keyring-daemon is not installed
}
