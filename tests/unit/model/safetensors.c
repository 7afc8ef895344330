#include "model/safetensors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of this header and `body` bytes of data; malloc'ed to the byte, so that a read past its end is seen. */
static unsigned char *make_file(const char *header, size_t body, size_t *size)
{
    size_t n = strlen(header);
    *size = 8 + n + body;
    unsigned char *bytes = malloc(*size);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < body; i++)
        bytes[8 + n + i] = (unsigned char)i;
    return bytes;
}

static enum status read_header(const char *header, size_t body, struct tensor_list *list, struct diag *why)
{
    size_t size;
    unsigned char *bytes = make_file(header, body, &size);
    enum status s = safetensors_read(bytes, size, "model.safetensors", list, why);
    free(bytes);
    return s;
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"a\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                           "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]},"
                           "\"c\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[16,16]},"
                           "\"d\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[16,17]}}   ";

Test(safetensors, tensors_are_found_with_type_shape_and_place)
{
    size_t size;
    unsigned char *bytes = make_file(good, 17, &size);
    struct tensor_list list = {0};
    struct diag why = {0};
    cr_assert_eq(safetensors_read(bytes, size, "f", &list, &why), ST_OK, "%s", why.text);
    cr_assert_eq(list.n, 4);
    const struct tensor *a = &list.items[0], *b = &list.items[1];
    cr_assert_str_eq(a->name, "a");
    cr_assert(a->type == TENSOR_F16 && a->n_dims == 2 && a->dims[0] == 2 && a->dims[1] == 3 && a->bytes == 12);
    cr_assert_eq(*(const unsigned char *)a->data, 0);
    cr_assert(b->type == TENSOR_F32 && b->n_dims == 0 && b->bytes == 4);
    cr_assert_eq(*(const unsigned char *)b->data, 12);
    cr_assert(list.items[2].bytes == 0 && list.items[3].type == TENSOR_OTHER);
    tensor_list_fini(&list);
    free(bytes);
}

Test(safetensors, a_file_cut_short_at_any_byte_is_refused)
{
    size_t size;
    unsigned char *bytes = make_file(good, 17, &size);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, bytes, n);
        struct tensor_list list = {0};
        struct diag why = {0};
        cr_assert_eq(safetensors_read(cut, n, "f.safetensors", &list, &why), ST_FORMAT, "%zu bytes", n);
        cr_assert(strstr(why.text, "f.safetensors"), "%s", why.text);
        tensor_list_fini(&list);
        free(cut);
    }
    free(bytes);
}

Test(safetensors, a_lying_header_length_is_refused)
{
    static const uint64_t lies[] = {0, 1, 1000, 100U << 20, (100U << 20) + 1, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63};
    size_t size;
    unsigned char *bytes = make_file(good, 17, &size);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (int k = 0; k < 8; k++)
            bytes[k] = (unsigned char)(lies[i] >> (8 * k));
        struct tensor_list list = {0};
        cr_assert_neq(safetensors_read(bytes, size, "f", &list, NULL), ST_OK, "%llu", (unsigned long long)lies[i]);
        tensor_list_fini(&list);
    }
    free(bytes);
}

#define ENTRY(dtype, shape, offsets) "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

Test(safetensors, every_kind_of_lie_in_a_header_is_refused_and_named)
{
    static const struct {
        const char *header;
        size_t body;
        enum status status;
        const char *word;
    } cases[] = {
        {"[]", 0, ST_FORMAT, "object"},
        {"{\"w\":", 0, ST_FORMAT, "JSON"},
        {"{\"w\":1}", 0, ST_FORMAT, "w"},
        {"{\"w\":{}}", 0, ST_FORMAT, "dtype"},
        {ENTRY("\"F17\"", "[2]", "[0,4]"), 4, ST_FORMAT, "F17"},
        {ENTRY("7", "[2]", "[0,4]"), 4, ST_FORMAT, "dtype"},
        {ENTRY("\"F16\"", "2", "[0,4]"), 4, ST_FORMAT, "shape"},
        {ENTRY("\"F16\"", "[-2]", "[0,4]"), 4, ST_FORMAT, "dimension 0"},
        {ENTRY("\"F16\"", "[2.0]", "[0,4]"), 4, ST_FORMAT, "dimension 0"},
        {ENTRY("\"F16\"", "[1,1,1,1,1,2]", "[0,4]"), 4, ST_LIMIT, "6 dimensions"},
        {ENTRY("\"F16\"", "[2]", "[0,4,4]"), 4, ST_FORMAT, "data_offsets"},
        {ENTRY("\"F16\"", "[2]", "[4,0]"), 4, ST_FORMAT, "data_offsets"},
        {ENTRY("\"F16\"", "[2]", "[-4,0]"), 4, ST_FORMAT, "data_offsets"},
        {ENTRY("\"F16\"", "[2]", "[0,8]"), 4, ST_FORMAT, "the file has 4"},
        {ENTRY("\"F16\"", "[3]", "[0,4]"), 4, ST_FORMAT, "F16 [3]"},
        {ENTRY("\"F32\"", "[2]", "[0,4]"), 4, ST_FORMAT, "F32 [2]"},
        {ENTRY("\"F16\"", "[4611686018427387904,2]", "[0,4]"), 4, ST_FORMAT, "does not take"},
        {ENTRY("\"I64\"", "[2305843009213693952]", "[0,0]"), 0, ST_FORMAT, "does not take"},
        {ENTRY("\"F16\"", "[2]", "[0,4]"), 5, ST_FORMAT, "at the end"},
        {ENTRY("\"F16\"", "[2]", "[1,5]"), 5, ST_FORMAT, "in front of w"},
        {"{\"v\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
         "\"w\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}}",
         5, ST_FORMAT, "w overlaps v"},
        {"{\"v\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
         "\"v\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[3,6]}}",
         6, ST_FORMAT, "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tensor_list list = {0};
        struct diag why = {0};
        enum status s = read_header(cases[i].header, cases[i].body, &list, &why);
        cr_assert_eq(s, cases[i].status, "%s: %s", cases[i].header, why.text);
        cr_assert(strstr(why.text, cases[i].word), "%s: %s", cases[i].header, why.text);
        cr_assert(strstr(why.text, "model.safetensors"), "%s", why.text);
        tensor_list_fini(&list);
    }
}
