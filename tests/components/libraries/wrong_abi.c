/* A component of a later interface than there is. */
#include "modules/components/pillion_component.h"

PILLION_COMPONENT_EXPORT const struct pillion_component pillion_component = {
    PILLION_COMPONENT_ABI + 1, sizeof(struct pillion_component), 0, 0, 0, 0};
