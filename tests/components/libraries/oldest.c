/* A component that was compiled before the optional members were added: it says a smaller size. It takes as long as the
 * test lets it: until the named pipe of its settings is opened for writing. */
#include "modules/components/pillion_component.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static char name[512];

static void *create(const struct pillion_component_host *host, const char *settings, char *error, size_t error_size) {
    (void)host;
    (void)error;
    (void)error_size;
    if (strlen(settings) >= 2 && settings[0] == '"' && strlen(settings) < sizeof name) {
        memcpy(name, settings + 1, strlen(settings) - 2);
        close(open(name, O_RDONLY));
    }
    return name;
}

static void destroy(void *instance) { (void)instance; }

struct first_members {
    uint32_t abi;
    uint32_t size;
    void *(*create)(const struct pillion_component_host *, const char *, char *, size_t);
    void (*destroy)(void *);
};

PILLION_COMPONENT_EXPORT const struct first_members pillion_component = {
    PILLION_COMPONENT_ABI, sizeof(struct first_members), create, destroy};
