/* An allow-list from a file: what is taken finds each of its keys again, with a role, and never a tenant that was not
 * named; what is a key file is one, or is refused. */
#include <stdlib.h>
#include <string.h>

#include "protocol/allow_list.h"
#include "protocol/key_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const uint8_t nobody[LINK_KEY_BYTES];
    struct allow_list *l = NULL;
    struct key_file k;
    struct diag why = {.text = ""};
    if (allow_list_parse((const char *)bytes, size, "list", &l, &why) == ST_OK) {
        const struct allowed *a = allow_list_find(l, nobody);
        if (allow_list_size(l) > ALLOW_KEYS || (a && !a->roles) || (a && a->tenants[0] && allowed_tenant(a, "\n", 1)))
            abort();
        allow_list_free(l);
    } else if (l || !why.text[0])
        abort();
    why.text[0] = '\0';
    if (key_file_parse((const char *)bytes, size, "key", &k, &why) == ST_OK ? strlen(k.public_key) != LINK_KEY_TEXT - 1
                                                                            : !why.text[0])
        abort();
    return 0;
}
