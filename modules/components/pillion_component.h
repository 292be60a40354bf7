/* The C interface of a component of kind `library`: a shared object that Pillion loads into its own process. This file
 * is all an author needs; it includes nothing of Pillion and is plain C.
 *
 * The library exports one symbol, `pillion_component`, a constant of the struct below:
 *
 *     static void *create(const struct pillion_component_host *host, const char *settings, char *error, size_t size);
 *     static void destroy(void *instance);
 *     const struct pillion_component pillion_component = {
 *         PILLION_COMPONENT_ABI, sizeof(struct pillion_component), create, destroy, NULL, NULL};
 *
 *     cc -shared -fPIC -fvisibility=hidden -o libindex.so index.c       (and mark the symbol PILLION_COMPONENT_EXPORT)
 *
 * Threads: create and destroy are called on a thread of Pillion's and may block; each is called once for an instance,
 * destroy after everything else. memory_bytes and check come from any thread, never at the same time as destroy.
 * The library stays mapped after destroy, because threads of its own may run in it; create may be called again.
 * A library shares Pillion's memory: if it crashes, Pillion does. What may crash belongs in a `service`.
 */
#ifndef PILLION_COMPONENT_H
#define PILLION_COMPONENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a member changes its meaning. New members are added at the end, and told apart by `size`. */
#define PILLION_COMPONENT_ABI 1u

#define PILLION_COMPONENT_EXPORT __attribute__((visibility("default")))

/* What the library may ask of Pillion, valid until destroy returns. */
struct pillion_component_host {
    uint32_t abi;
    uint32_t size;              /* of this struct */
    const char* name;           /* the component's, as it is declared */
    const char* data_directory; /* where it may keep files; "" if there is none */
    void* context;              /* handed back to the functions below */
    /* Writes a line to Pillion's log: level 0 debug, 1 info, 2 warning, 3 error. Any thread. */
    void (*log)(void* context, int level, const char* message);
};

struct pillion_component {
    uint32_t abi;  /* PILLION_COMPONENT_ABI of the header that it was compiled with */
    uint32_t size; /* sizeof(struct pillion_component) */

    /* Makes the component ready to be used. `settings` is its `settings` of the configuration as JSON text, "null" if
     * it has none, valid during the call. Returns the instance, which is not NULL; or NULL after writing why, as
     * UTF-8 that ends with a zero byte, into `error`, which has room for `error_size` bytes. */
    void* (*create)(const struct pillion_component_host* host, const char* settings, char* error, size_t error_size);

    /* Ends the instance: its threads, its files, its memory. */
    void (*destroy)(void* instance);

    /* Optional: the memory that the instance holds. */
    uint64_t (*memory_bytes)(void* instance);

    /* Optional: 0 if it works; otherwise writes why, as create does. For health checks. */
    int (*check)(void* instance, char* error, size_t error_size);
};

#ifdef __cplusplus
}
#endif

#endif
