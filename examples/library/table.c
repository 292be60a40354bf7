/* A component of kind `library`: a table of square roots that is made once and kept in Pillion's process.
 *
 *     cc -O2 -shared -fPIC -fvisibility=hidden -I ../.. -o libtable.so table.c -lm
 *
 *     [components.table]
 *     kind = "library"
 *     library = "libtable.so"
 *     workingDirectory = "/where/it/is"
 *     settings = 100000
 */
#include "modules/components/pillion_component.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct table {
    const struct pillion_component_host *host;
    size_t size;
    double *roots;
};

static void *create(const struct pillion_component_host *host, const char *settings, char *error, size_t error_size) {
    char *end = NULL;
    errno = 0;
    const long size = strtol(settings, &end, 10);
    if (errno != 0 || end == settings || *end != '\0' || size < 1 || size > 100000000) {
        snprintf(error, error_size, "`settings` is the size of the table, 1 to 100000000, not %s", settings);
        return NULL;
    }
    struct table *const table = malloc(sizeof *table);
    double *const roots = malloc((size_t)size * sizeof *roots);
    if (table == NULL || roots == NULL) {
        free(table);
        free(roots);
        snprintf(error, error_size, "there is no memory for a table of %ld", size);
        return NULL;
    }
    for (long i = 0; i < size; ++i) roots[i] = sqrt((double)i);
    table->host = host;
    table->size = (size_t)size;
    table->roots = roots;
    host->log(host->context, 1, "the table is made");
    return table;
}

static void destroy(void *instance) {
    struct table *const table = instance;
    table->host->log(table->host->context, 1, "the table is gone");
    free(table->roots);
    free(table);
}

static uint64_t memory_bytes(void *instance) {
    const struct table *const table = instance;
    return sizeof *table + table->size * sizeof *table->roots;
}

static int check(void *instance, char *error, size_t error_size) {
    const struct table *const table = instance;
    if (table->roots[0] == 0.0) return 0;
    snprintf(error, error_size, "the table was overwritten");
    return 1;
}

PILLION_COMPONENT_EXPORT const struct pillion_component pillion_component = {
    PILLION_COMPONENT_ABI, sizeof(struct pillion_component), create, destroy, memory_bytes, check};
