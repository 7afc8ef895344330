#include "model/torch_pickle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    unsigned char bytes[4096];
    size_t n;
};

static void put(struct buffer *b, const void *bytes, size_t n)
{
    cr_assert_leq(n, sizeof b->bytes - b->n);
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

static void put_text(struct buffer *b, const char *text)
{
    unsigned char head[5] = {'X', (unsigned char)strlen(text)};
    put(b, head, sizeof head);
    put(b, text, strlen(text));
}

static void put_int(struct buffer *b, int value)
{
    unsigned char bytes[5] = {'J', (unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 24)};
    put(b, bytes, sizeof bytes);
}

#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)

/* What varies in a pickle of one tensor. */
struct recipe {
    const char *storage_class, *storage_word;
    int elements, offset, rows, cols, row_stride, col_stride;
};
static const struct recipe usual = {"torch\nHalfStorage\n", "storage", 6, 0, 2, 3, 3, 1};

static void put_tensor(struct buffer *b, const struct recipe *r)
{
    PUT(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(b, r->storage_word);
    PUT(b, "c");
    put(b, r->storage_class, strlen(r->storage_class));
    put_text(b, "7");
    put_text(b, "cuda:0");
    put_int(b, r->elements);
    PUT(b, "tQ");
    put_int(b, r->offset);
    put_int(b, r->rows);
    put_int(b, r->cols);
    PUT(b, "\x86");
    put_int(b, r->row_stride);
    put_int(b, r->col_stride);
    PUT(b, "\x86\x89"
           "ccollections\nOrderedDict\n)RtR");
}

static struct buffer make(const struct recipe *r)
{
    struct buffer b = {0};
    PUT(&b, "\x80\x02}(");
    put_text(&b, "weight");
    put_tensor(&b, r);
    PUT(&b, "u.");
    return b;
}

/* Runs a copy that is allocated to the byte. */
static enum status run(const void *bytes, size_t n, struct pickled_tensors *out, struct diag *why)
{
    unsigned char *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    enum status s = torch_pickle_read(copy, n, "shard.bin", out, why);
    if (s == ST_OK && out->n > 0)
        cr_assert_eq(memcmp(out->items[0].name, "weight", 6), 0);
    free(copy);
    return s;
}

Test(torch_pickle, a_tensor_is_read_with_storage_type_and_shape)
{
    struct buffer b = make(&usual);
    struct pickled_tensors t = {0};
    struct diag why = {0};
    cr_assert_eq(run(b.bytes, b.n, &t, &why), ST_OK, "%s", why.text);
    cr_assert_eq(t.n, 1);
    cr_assert(t.items[0].type == TENSOR_F16 && t.items[0].n_dims == 2 && t.items[0].dims[1] == 3);
    cr_assert(t.items[0].storage_elements == 6 && t.items[0].offset == 0 && t.items[0].storage_len == 1);
    free(t.items);
}

Test(torch_pickle, a_dictionary_of_a_module_with_version_numbers_is_read)
{
    struct buffer b = {0};
    PUT(&b, "\x80\x02"
            "ccollections\nOrderedDict\nq\0)Rq\x01(");
    put_text(&b, "weight");
    put_tensor(&b, &usual);
    PUT(&b, "u}");
    put_text(&b, "_metadata");
    PUT(&b, "h\0)R");
    put_text(&b, "");
    PUT(&b, "}");
    put_text(&b, "version");
    PUT(&b, "K\x01sssb.");
    struct pickled_tensors t = {0};
    struct diag why = {0};
    cr_assert_eq(run(b.bytes, b.n, &t, &why), ST_OK, "%s", why.text);
    cr_assert_eq(t.n, 1);
    free(t.items);
}

Test(torch_pickle, cut_short_at_any_byte_it_is_refused)
{
    struct buffer b = make(&usual);
    for (size_t n = 0; n < b.n; n++) {
        struct pickled_tensors t = {0};
        struct diag why = {0};
        cr_assert_eq(run(b.bytes, n, &t, &why), ST_FORMAT, "%zu bytes", n);
        cr_assert(strstr(why.text, "shard.bin"));
    }
}

Test(torch_pickle, every_opcode_that_no_weight_file_needs_is_refused_with_name_and_byte)
{
    static const unsigned char known[] = "\x80}(N\x88\x89JKM\x8aXc)\x85\x86\x87tsuqrhjQRb.";
    int refused = 0;
    for (int op = 0; op < 256; op++) {
        if (memchr(known, op, sizeof known - 1))
            continue;
        unsigned char bytes[] = {0x80, 2, '}', (unsigned char)op, '.'};
        struct pickled_tensors t = {0};
        struct diag why = {0};
        char word[8];
        snprintf(word, sizeof word, "0x%02x", op);
        cr_assert_eq(run(bytes, sizeof bytes, &t, &why), ST_UNSUPPORTED, "opcode %d: %s", op, why.text);
        cr_assert(strstr(why.text, word), "%s", why.text);
        refused++;
    }
    cr_assert_eq(refused, 256 - (int)(sizeof known - 1));
    static const struct {
        unsigned char op;
        const char *want;
    } named[] = {
        {'S', "opcode STRING (0x53)"},
        {'i', "opcode INST (0x69)"},
        {'o', "opcode OBJ (0x6f)"},
        {0x81, "opcode NEWOBJ (0x81)"},
        {0x93, "opcode STACK_GLOBAL (0x93)"},
        {0x82, "opcode EXT1 (0x82)"},
        {'P', "opcode PERSID (0x50)"},
        {'I', "opcode INT (0x49)"},
        {']', "opcode EMPTY_LIST (0x5d)"},
        {0x95, "opcode FRAME (0x95)"},
        {0x98, "opcode READONLY_BUFFER (0x98)"},
        {0x05, "0x05 is no pickle opcode"},
        {0xff, "0xff is no pickle opcode"},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const unsigned char bytes[] = {0x80, 2, '}', named[i].op, '.'};
        struct pickled_tensors t = {0};
        struct diag why = {0};
        cr_assert_eq(run(bytes, sizeof bytes, &t, &why), ST_UNSUPPORTED);
        cr_assert(strstr(why.text, named[i].want), "\"%s\", expected %s", why.text, named[i].want);
    }
}

Test(torch_pickle, a_class_that_runs_code_is_refused_by_name)
{
    static const char *const classes[][2] = {{"cos\nsystem\n", "os.system"},
                                             {"cbuiltins\neval\n", "builtins.eval"},
                                             {"ctorch\nDoubleStorage\n", "torch.DoubleStorage"},
                                             {"ctorch._utils\n_rebuild_tensor_v3\n", "_rebuild_tensor_v3"},
                                             {"ccollections\nOrderedDict2\n", "OrderedDict2"},
                                             {"ctorch\nHalf\n", "torch.Half"}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct buffer b = {0};
        PUT(&b, "\x80\x02");
        put(&b, classes[i][0], strlen(classes[i][0]));
        put_text(&b, "echo");
        PUT(&b, "\x85R.");
        struct pickled_tensors t = {0};
        struct diag why = {0};
        cr_assert_eq(run(b.bytes, b.n, &t, &why), ST_UNSUPPORTED);
        cr_assert(strstr(why.text, classes[i][1]), "%s", why.text);
    }
}

Test(torch_pickle, a_tensor_that_is_not_what_it_says_is_refused)
{
    static const struct {
        const char *what;
        struct recipe r;
        enum status status;
    } cases[] = {
        {"bigger than its storage", {"torch\nHalfStorage\n", "storage", 5, 0, 2, 3, 3, 1}, ST_FORMAT},
        {"past its storage", {"torch\nHalfStorage\n", "storage", 6, 1, 2, 3, 3, 1}, ST_FORMAT},
        {"negative offset", {"torch\nHalfStorage\n", "storage", 6, -1, 2, 3, 3, 1}, ST_FORMAT},
        {"negative storage", {"torch\nHalfStorage\n", "storage", -6, 0, 2, 3, 3, 1}, ST_FORMAT},
        {"negative size", {"torch\nHalfStorage\n", "storage", 6, 0, -2, 3, 3, 1}, ST_FORMAT},
        {"transposed", {"torch\nHalfStorage\n", "storage", 6, 0, 2, 3, 1, 2}, ST_UNSUPPORTED},
        {"strided", {"torch\nHalfStorage\n", "storage", 12, 0, 2, 3, 6, 2}, ST_UNSUPPORTED},
        {"expanded", {"torch\nHalfStorage\n", "storage", 6, 0, 2, 3, 0, 1}, ST_UNSUPPORTED},
        {"no storage word", {"torch\nHalfStorage\n", "other", 6, 0, 2, 3, 3, 1}, ST_FORMAT},
        {"storage of no storage class", {"collections\nOrderedDict\n", "storage", 6, 0, 2, 3, 3, 1}, ST_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = make(&cases[i].r);
        struct pickled_tensors t = {0};
        struct diag why = {0};
        cr_assert_eq(run(b.bytes, b.n, &t, &why), cases[i].status, "%s: %s", cases[i].what, why.text);
        if (cases[i].status == ST_UNSUPPORTED)
            cr_assert(strstr(why.text, "weight"), "%s", why.text);
    }
}

Test(torch_pickle, one_row_may_have_any_stride)
{
    const struct recipe r = {"torch\nHalfStorage\n", "storage", 6, 2, 1, 3, 77, 1};
    struct buffer b = make(&r);
    struct pickled_tensors t = {0};
    cr_assert_eq(run(b.bytes, b.n, &t, NULL), ST_OK);
    cr_assert_eq(t.items[0].offset, 2);
    free(t.items);
}

Test(torch_pickle, machines_that_go_wrong_are_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
#define CASE(literal) {literal, sizeof(literal) - 1}
        CASE("\x80\x03}."),                   /* protocol */
        CASE("\x80\x02."),                    /* empty stack */
        CASE("\x80\x02}}."),                  /* values left */
        CASE("\x80\x02K\x01."),               /* no dictionary */
        CASE("\x80\x02(."),                   /* a mark as result */
        CASE("\x80\x02t."),                   /* no mark */
        CASE("\x80\x02u."),                   /* no mark, no dictionary */
        CASE("\x80\x02(u."),                  /* a mark at the bottom */
        CASE("\x80\x02}(K\x01u."),            /* key without value */
        CASE("\x80\x02K\x01(K\x01K\x01u."),   /* entries for an int */
        CASE("\x80\x02}K\x01K\x01s."),        /* a key that is no text */
        CASE("\x80\x02}X\x01\0\0\0aK\x01s."), /* a value that is no tensor */
        CASE("\x80\x02}h\0."),                /* memo never stored */
        CASE("\x80\x02}q\x01."),              /* memo out of order */
        CASE("\x80\x02q\0."),                 /* memo of nothing */
        CASE("\x80\x02}j\xff\xff\xff\xff."),  /* memo far away */
        CASE("\x80\x02}r\xff\xff\xff\xff."),  /* memo far away */
        CASE("\x80\x02\x87."),                /* a tuple of nothing */
        CASE("\x80\x02((\x86."),              /* a tuple of marks */
        CASE("\x80\x02K\x01Q."),              /* a persistent id that is an int */
        CASE("\x80\x02)Q."),                  /* a persistent id that is empty */
        CASE("\x80\x02})R."),                 /* a call of a dictionary */
        CASE("\x80\x02"
             "ccollections\nOrderedDict\nK\x01R."), /* arguments that are no tuple */
        CASE("\x80\x02"
             "ccollections\nOrderedDict\nK\x01\x85R."), /* a dictionary with arguments */
        CASE("\x80\x02"
             "ctorch\nHalfStorage\n)R."), /* a call of a storage */
        CASE("\x80\x02"
             "ctorch._utils\n_rebuild_tensor_v2\n)R."), /* a tensor without arguments */
        CASE("\x80\x02K\x01}b."),                       /* state for an int */
        CASE("\x80\x02X\xff\xff\xff\xff"
             "a."), /* a text past the end */
        CASE("\x80\x02\x8a\x09"
             "123456789."), /* an integer too long */
        CASE("\x80\x02"
             "ctorch"), /* a class without end */
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickled_tensors t = {0};
        struct diag why = {0};
        cr_assert_neq(run(cases[i].bytes, cases[i].n, &t, &why), ST_OK, "case %zu", i);
        cr_assert(strstr(why.text, "shard.bin"), "case %zu: %s", i, why.text);
        cr_assert_null(t.items);
    }
}

Test(torch_pickle, any_single_byte_changed_gives_an_error_or_a_tensor_inside_its_storage)
{
    struct buffer b = make(&usual);
    for (size_t at = 0; at < b.n; at++) {
        for (int value = 0; value < 256; value++) {
            struct buffer changed = b;
            changed.bytes[at] = (unsigned char)value;
            struct pickled_tensors t = {0};
            if (torch_pickle_read(changed.bytes, changed.n, "f", &t, NULL) != ST_OK)
                continue;
            for (size_t i = 0; i < t.n; i++) {
                int64_t elements = tensor_elements(t.items[i].dims, t.items[i].n_dims);
                cr_assert(elements >= 0 && elements + t.items[i].offset <= t.items[i].storage_elements);
            }
            free(t.items);
        }
    }
}
