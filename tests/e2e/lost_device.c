/* Linked over ferret-worker's backend (the linker's --wrap): the first process to come to its step LOSE_AT loses its
 * device there, and leaves the file that $LOSE_DEVICE_ONCE names, so that no other one does. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernels/backend.h"

enum status __real_backend_step_end(struct backend *be, struct diag *why);
enum status __wrap_backend_step_end(struct backend *be, struct diag *why);

enum status __wrap_backend_step_end(struct backend *be, struct diag *why)
{
    enum { LOSE_AT = 6 };
    static int step; /* the engine's thread alone comes here */
    const char *once = getenv("LOSE_DEVICE_ONCE");
    enum status s = __real_backend_step_end(be, why);
    if (s != ST_OK || ++step < LOSE_AT || !once)
        return s;
    int fd = open(once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ST_OK;
    close(fd);
    return diag_set(why, ST_DEVICE, "the device fell off the bus");
}
