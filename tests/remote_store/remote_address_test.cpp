// Addresses, notices and configuration: what is read, and what is refused without showing a password.
#include "modules/remote_store/postgres_address.h"
#include "modules/remote_store/redis_address.h"
#include "modules/remote_store/remote_notice.h"
#include "modules/remote_store/remote_store_rpc.h"

#include <catch2/catch.hpp>

using namespace pillion;

TEST_CASE("the address of redis is read", "[remote][address]") {
    const auto full = read_redis_url("redis://us%40er:p%3Ass%2F@db.example:7000/12");
    REQUIRE(full);
    CHECK(full->user == "us@er");
    CHECK(full->password == "p:ss/");
    CHECK(full->host == "db.example");
    CHECK(full->port == 7000);
    CHECK(full->database == 12);
    CHECK(full->where() == "redis at db.example:7000");
    CHECK(read_redis_url("redis://localhost")->where() == "redis at localhost:6379");
    CHECK(read_redis_url("redis://:only@[::1]:1")->password == "only");
    CHECK(read_redis_url("redis://[::1]")->where() == "redis at [::1]:6379");
    CHECK(read_redis_url("redis://localhost/")->database == 0);
    const auto local = read_redis_url("unix://a:b@/run/re%20dis.sock?db=2");
    REQUIRE(local);
    CHECK(local->socket_path == "/run/re dis.sock");
    CHECK(local->user == "a");
    CHECK(local->database == 2);
    CHECK(local->where() == "redis at /run/re dis.sock");
}

TEST_CASE("a wrong address of redis is refused by the part that is wrong", "[remote][address]") {
    for (const std::string url :
         {"", "localhost", "http://u:hunter2@h", "redis://", "redis://u:hunter2@", "redis://u:hunter2@h:0",
          "redis://u:hunter2@h:65536", "redis://u:hunter2@h:x", "redis://u:hunter2@h/x", "redis://u:hunter2@h/-1",
          "redis://u:hunter2%zz@h", "redis://hunter2@h", "redis://u:hunter2@[::1", "redis://u:hunter2@h:",
          "rediss://u:hunter2@h", "unix://relative", "unix://u:hunter2@relative", "unix:///s?database=hunter2"}) {
        INFO(url);
        const auto refused = read_redis_url(url);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_params);
        CHECK(refused.error().field == "/url");
        CHECK((refused.error().message + refused.error().hint).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("the address of postgres says where it leads", "[remote][address]") {
    CHECK(postgres_where("postgresql://u:p@h:5433/d") == "postgres at h:5433");
    CHECK(postgres_where("postgres://h") == "postgres at h");
    CHECK(postgres_where("postgresql://u@[::1]:1/d") == "postgres at [::1]:1");
    CHECK(postgres_where("postgresql://u:p@/d?host=/run/pg&port=6000") == "postgres at /run/pg:6000");
    CHECK(postgres_where("postgresql://a:1,b:2/d") == "postgres at a:1,b:2");
    CHECK(postgres_where("host=/run/pg user=u password='a host=b \\' c' dbname = d") == "postgres at /run/pg");
    CHECK(postgres_where("hostaddr=10.0.0.1 port=7") == "postgres at 10.0.0.1:7");
    CHECK(postgres_where("dbname=d") == "postgres");
    CHECK(check_postgres_url("postgresql:///d?sslmode=require"));
}

TEST_CASE("a wrong address of postgres is refused without being shown", "[remote][address]") {
    for (const std::string& url :
         {std::string(), std::string("hunter2"), std::string("mysql:hunter2"),
          std::string("postgresql://u:hunter2/x@h/d"), std::string("postgresql://u:hunter2@x@h/d"),
          std::string("postgresql://u@h:hunter2/d"), std::string("password=hunter2 oops"),
          std::string("password='hunter2"), std::string("port=hunter2"), std::string("dbname=a\0hunter2", 16)}) {
        INFO(url);
        const auto refused = check_postgres_url(url);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_params);
        CHECK((refused.error().message + refused.error().hint + postgres_where(url)).find("hunter2") ==
              std::string::npos);
    }
}

TEST_CASE("configuration is checked", "[remote][config]") {
    CHECK(check_redis_config({}));
    CHECK(check_postgres_config({}));
    CHECK_FALSE(check_redis_config({.url = "tcp://x"}));
    CHECK_FALSE(check_redis_config({.backoffMsMin = 5, .backoffMsMax = 4}));
    CHECK_FALSE(check_postgres_config({.url = "x"}));
    CHECK_FALSE(check_postgres_config({.backoffMsMin = 5, .backoffMsMax = 4}));
    for (const std::string schema : {"", "1a", "a-b", "A", "a;b", "caf\xc3\xa9"}) {
        CHECK_FALSE(check_postgres_config({.schema = schema}));
    }
    CHECK_FALSE(check_postgres_config({.schema = std::string(49, 'a')}));
    CHECK(wire::type_of<RedisConfig>.fields.size() == 7);
    CHECK(wire::type_of<PostgresConfig>.fields.size() == 10);
    CHECK_FALSE(create_redis_tier({}, "app", system_clock()));
    CHECK_FALSE(create_postgres_tier({}, "app", system_clock()));
}

TEST_CASE("a notice is the same after its journey", "[remote][notice]") {
    TierSelection selection;
    selection.space = "a space%";
    selection.name = std::string("\0=n\xff ", 5);
    selection.pattern = "*";
    selection.tag = "";
    selection.created_before_ms = -1;
    selection.expired = true;
    const auto heard = decode_notice(encode_notice("me", "my app", selection, 1000));
    REQUIRE(heard);
    CHECK(heard->origin == "me");
    CHECK(heard->app == "my app");
    CHECK(heard->selection.space == selection.space);
    CHECK(heard->selection.name == selection.name);
    CHECK(heard->selection.pattern == selection.pattern);
    CHECK(heard->selection.tag == selection.tag);
    CHECK(heard->selection.created_before_ms == selection.created_before_ms);
    CHECK(heard->selection.expired);
}

TEST_CASE("a notice that is too long becomes its namespace, and then everything", "[remote][notice]") {
    const auto by_space = decode_notice(encode_notice("me", "app", {.space = "s", .name = std::string(500, 'n')}, 100));
    REQUIRE(by_space);
    CHECK(by_space->selection.space == "s");
    CHECK_FALSE(by_space->selection.name);
    const auto by_all = decode_notice(encode_notice("me", "app", {.space = std::string(500, 's')}, 100));
    REQUIRE(by_all);
    CHECK(by_all->selection.space.empty());
}

TEST_CASE("what is no notice, or restricts in a way that is not known, is not read as one", "[remote][notice]") {
    for (const char* const text :
         {"", "1", "1 ", "2 me app", "1 me app x=1", "1 me app s", "1 me app s=%4", "1 me app s=%zz", "1 me app c=12x",
          "1 me app c=", "1 me %", "hello world and more"}) {
        INFO(text);
        CHECK_FALSE(decode_notice(text));
    }
}
