#include "model/torch_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "model/pickle_opcode.h"

enum kind {
    KIND_MARK,
    KIND_NONE,
    KIND_BOOL,
    KIND_INT,
    KIND_TEXT,
    KIND_CLASS,
    KIND_TUPLE,
    KIND_DICT,
    KIND_STORAGE,
    KIND_TENSOR
};
enum class_id { CLASS_REBUILD_TENSOR, CLASS_ORDERED_DICT, CLASS_STORAGE };

/* A value of the machine. Values are never freed or moved one by one: they live in one growing array and are named by
 * index, so that a pickle of n bytes makes at most n of them. */
struct value {
    enum kind kind;
    union {
        int64_t number; /* KIND_INT, KIND_BOOL */
        struct {
            const char *bytes;
            size_t len;
        } text;
        struct {
            enum class_id id;
            enum tensor_type type; /* of a storage class */
        } class;
        struct {
            uint32_t first, n; /* in machine.children */
        } tuple;
        struct {
            enum tensor_type type;
            uint32_t key; /* a text value */
            int64_t elements;
        } storage;
        uint32_t tensor; /* in machine.tensors */
    } as;
};

struct pair {
    uint32_t dict, key, value;
};

/* An array that grows by doubling. */
struct grow {
    void *items;
    size_t n, capacity, each;
};

struct machine {
    const uint8_t *at, *end;
    const char *file;
    struct diag *why;
    struct grow values, children, stack, memo, pairs, tensors;
    uint32_t result;
    bool stopped;
};

static enum status push(struct grow *g, const void *item)
{
    if (g->n == g->capacity) {
        size_t capacity = g->capacity ? 2 * g->capacity : 64;
        void *items = capacity <= UINT32_MAX ? realloc(g->items, capacity * g->each) : NULL;
        if (!items)
            return ST_NOMEM;
        g->items = items;
        g->capacity = capacity;
    }
    memcpy((char *)g->items + g->n++ * g->each, item, g->each);
    return ST_OK;
}

static struct value *value_at(const struct machine *m, uint32_t index)
{
    return (struct value *)m->values.items + index;
}

static uint32_t child_at(const struct machine *m, const struct value *tuple, uint32_t i)
{
    return ((const uint32_t *)m->children.items)[tuple->as.tuple.first + i];
}

static enum status broken(const struct machine *m, const char *what)
{
    return diag_set(m->why, ST_FORMAT, "%s: broken pickle: %s", m->file, what);
}

static enum status push_value(struct machine *m, struct value v)
{
    uint32_t index = (uint32_t)m->values.n;
    enum status status = push(&m->values, &v);
    return status == ST_OK ? push(&m->stack, &index) : status;
}

static enum status pop(struct machine *m, uint32_t *out)
{
    if (m->stack.n == 0)
        return broken(m, "nothing on the stack");
    *out = ((uint32_t *)m->stack.items)[--m->stack.n];
    return value_at(m, *out)->kind == KIND_MARK ? broken(m, "a mark where a value must be") : ST_OK;
}

static enum status take(struct machine *m, size_t n, const uint8_t **out)
{
    if ((size_t)(m->end - m->at) < n)
        return broken(m, "it ends in the middle");
    *out = m->at;
    m->at += n;
    return ST_OK;
}

/* n little-endian bytes. */
static enum status take_number(struct machine *m, size_t n, uint64_t *out)
{
    const uint8_t *p = NULL;
    enum status status = take(m, n, &p);
    if (status != ST_OK)
        return status;
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    *out = v;
    return ST_OK;
}

static enum status push_int(struct machine *m, size_t bytes, bool is_signed)
{
    uint64_t v = 0;
    enum status status = take_number(m, bytes, &v);
    if (status != ST_OK)
        return status;
    if (is_signed && bytes > 0 && bytes < 8 && v >> (8 * bytes - 1))
        v |= UINT64_MAX << (8 * bytes);
    return push_value(m, (struct value){KIND_INT, {.number = (int64_t)v}});
}

static enum status push_long(struct machine *m)
{
    uint64_t n = 0;
    enum status status = take_number(m, 1, &n);
    if (status != ST_OK)
        return status;
    return n <= 8 ? push_int(m, (size_t)n, true) : broken(m, "an integer of more than 8 bytes");
}

static enum status push_text(struct machine *m)
{
    uint64_t len = 0;
    const uint8_t *p = NULL;
    enum status status = take_number(m, 4, &len);
    if (status == ST_OK)
        status = take(m, (size_t)len, &p);
    if (status != ST_OK)
        return status;
    return push_value(m, (struct value){KIND_TEXT, {.text = {(const char *)p, (size_t)len}}});
}

/* A line without its newline. */
static enum status take_line(struct machine *m, const char **line, int *len)
{
    size_t rest = (size_t)(m->end - m->at), limit = rest < 256 ? rest : 256;
    const uint8_t *newline = limit ? memchr(m->at, '\n', limit) : NULL;
    if (!newline)
        return broken(m, "a class without name");
    *line = (const char *)m->at;
    *len = (int)(newline - m->at);
    m->at = newline + 1;
    return ST_OK;
}

static const struct {
    const char *module, *name;
    enum class_id id;
    enum tensor_type type;
} classes[] = {
    {"torch._utils", "_rebuild_tensor_v2", CLASS_REBUILD_TENSOR, TENSOR_OTHER},
    {"collections", "OrderedDict", CLASS_ORDERED_DICT, TENSOR_OTHER},
    {"torch", "FloatStorage", CLASS_STORAGE, TENSOR_F32},
    {"torch", "HalfStorage", CLASS_STORAGE, TENSOR_F16},
    {"torch", "BFloat16Storage", CLASS_STORAGE, TENSOR_BF16},
    {"torch", "LongStorage", CLASS_STORAGE, TENSOR_I64},
    {"torch", "IntStorage", CLASS_STORAGE, TENSOR_I32},
};

static bool is_text(const char *bytes, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(bytes, text, len) == 0;
}

static enum status push_class(struct machine *m)
{
    const char *module = NULL, *name = NULL;
    int module_len = 0, name_len = 0;
    enum status status = take_line(m, &module, &module_len);
    if (status == ST_OK)
        status = take_line(m, &name, &name_len);
    if (status != ST_OK)
        return status;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (is_text(module, (size_t)module_len, classes[i].module) && is_text(name, (size_t)name_len, classes[i].name))
            return push_value(m, (struct value){KIND_CLASS, {.class = {classes[i].id, classes[i].type}}});
    return diag_set(m->why, ST_UNSUPPORTED, "%s: pickle uses %.*s.%.*s, which no weight file needs", m->file,
                    module_len, module, name_len, name);
}

/* Makes a tuple of the topmost n values. */
static enum status push_tuple(struct machine *m, size_t n)
{
    struct value v = {KIND_TUPLE, {.tuple = {(uint32_t)m->children.n, (uint32_t)n}}};
    if (m->stack.n < n)
        return broken(m, "nothing on the stack");
    m->stack.n -= n;
    for (size_t i = 0; i < n; i++) {
        const uint32_t *item = (uint32_t *)m->stack.items + m->stack.n + i;
        if (value_at(m, *item)->kind == KIND_MARK)
            return broken(m, "a mark where a value must be");
        enum status status = push(&m->children, item);
        if (status != ST_OK)
            return status;
    }
    return push_value(m, v);
}

/* How many values lie above the topmost mark. */
static enum status above_mark(const struct machine *m, size_t *n)
{
    const uint32_t *stack = m->stack.items;
    for (size_t i = m->stack.n; i-- > 0;)
        if (value_at(m, stack[i])->kind == KIND_MARK) {
            *n = m->stack.n - 1 - i;
            return ST_OK;
        }
    return broken(m, "no mark on the stack");
}

static enum status tuple_to_mark(struct machine *m)
{
    size_t n = 0;
    enum status status = above_mark(m, &n);
    if (status == ST_OK)
        status = push_tuple(m, n);
    if (status != ST_OK)
        return status;
    uint32_t *stack = m->stack.items;
    stack[m->stack.n - 2] = stack[m->stack.n - 1]; /* over the mark */
    m->stack.n--;
    return ST_OK;
}

/* Puts the topmost n values, keys and values in turn, into the dict under them; is_marked: a mark lies between. */
static enum status set_items(struct machine *m, size_t n, bool is_marked)
{
    const uint32_t *stack = m->stack.items;
    if (m->stack.n < n + is_marked + 1 || n % 2 != 0)
        return broken(m, "a dictionary entry without key or value");
    const uint32_t *items = stack + m->stack.n - n;
    uint32_t dict = items[-1 - is_marked];
    if (value_at(m, dict)->kind != KIND_DICT)
        return broken(m, "entries for something that is no dictionary");
    for (size_t i = 0; i < n; i += 2) {
        struct pair pair = {dict, items[i], items[i + 1]};
        enum status status = push(&m->pairs, &pair);
        if (status != ST_OK)
            return status;
    }
    m->stack.n -= n + is_marked;
    return ST_OK;
}

static enum status set_items_to_mark(struct machine *m)
{
    size_t n = 0;
    enum status status = above_mark(m, &n);
    return status == ST_OK ? set_items(m, n, true) : status;
}

static enum status put_memo(struct machine *m, size_t index_bytes)
{
    uint64_t index = 0;
    enum status status = take_number(m, index_bytes, &index);
    if (status != ST_OK)
        return status;
    if (index != m->memo.n || m->stack.n == 0) /* a pickler numbers its memos 0, 1, 2, ... */
        return broken(m, "a memo out of order");
    return push(&m->memo, (uint32_t *)m->stack.items + m->stack.n - 1);
}

static enum status get_memo(struct machine *m, size_t index_bytes)
{
    uint64_t index = 0;
    enum status status = take_number(m, index_bytes, &index);
    if (status != ST_OK)
        return status;
    if (index >= m->memo.n)
        return broken(m, "a memo that was never stored");
    return push(&m->stack, (uint32_t *)m->memo.items + index);
}

static const struct value *child_of(const struct machine *m, const struct value *tuple, uint32_t i, enum kind kind)
{
    if (tuple->kind != KIND_TUPLE || i >= tuple->as.tuple.n)
        return NULL;
    const struct value *v = value_at(m, child_at(m, tuple, i));
    return v->kind == kind ? v : NULL;
}

/* ("storage", class, key, location, elements) becomes a storage. */
static enum status load_storage(struct machine *m)
{
    uint32_t index = 0;
    enum status status = pop(m, &index);
    if (status != ST_OK)
        return status;
    const struct value *id = value_at(m, index);
    const struct value *word = child_of(m, id, 0, KIND_TEXT), *class = child_of(m, id, 1, KIND_CLASS);
    const struct value *key = child_of(m, id, 2, KIND_TEXT), *elements = child_of(m, id, 4, KIND_INT);
    if (!word || !is_text(word->as.text.bytes, word->as.text.len, "storage") || !class ||
        class->as.class.id != CLASS_STORAGE || !key || !elements || elements->as.number < 0)
        return broken(m, "a persistent id that is no storage");
    struct value v = {KIND_STORAGE, {.storage = {class->as.class.type, child_at(m, id, 2), elements->as.number}}};
    return push_value(m, v);
}

/* Dims of the tensor, and that its strides are those of row-major order; single-row dims may have any stride. */
static enum status read_layout(struct machine *m, const struct value *size, const struct value *stride,
                               struct pickled_tensor *t, bool *is_contiguous)
{
    uint32_t n = size->as.tuple.n;
    if (n != stride->as.tuple.n)
        return broken(m, "a tensor with more sizes than strides");
    if (n > TENSOR_MAX_DIMS)
        return diag_set(m->why, ST_LIMIT, "%s: a tensor of %u dimensions, at most %d are read", m->file, n,
                        TENSOR_MAX_DIMS);
    t->n_dims = (int)n;
    for (uint32_t i = 0; i < n; i++) {
        const struct value *dim = child_of(m, size, i, KIND_INT);
        if (!dim || dim->as.number < 0 || !child_of(m, stride, i, KIND_INT))
            return broken(m, "a tensor size that is no size");
        t->dims[i] = dim->as.number;
    }
    int64_t elements = tensor_elements(t->dims, t->n_dims), want = 1;
    if (elements < 0)
        return broken(m, "a tensor bigger than any file");
    *is_contiguous = true;
    for (uint32_t i = n; i-- > 0 && elements > 0;) {
        if (t->dims[i] > 1 && child_of(m, stride, i, KIND_INT)->as.number != want)
            *is_contiguous = false;
        want *= t->dims[i];
    }
    return ST_OK;
}

/* A tensor that is not in row-major order gets n_dims -1: its name, for the message, comes later. */
static enum status rebuild_tensor(struct machine *m, const struct value *args)
{
    const struct value *storage = child_of(m, args, 0, KIND_STORAGE), *offset = child_of(m, args, 1, KIND_INT);
    const struct value *size = child_of(m, args, 2, KIND_TUPLE), *stride = child_of(m, args, 3, KIND_TUPLE);
    if (!storage || !offset || !size || !stride)
        return broken(m, "a tensor without storage, offset, size or stride");
    const struct value *key = value_at(m, storage->as.storage.key);
    struct pickled_tensor t = {.storage = key->as.text.bytes,
                               .storage_len = key->as.text.len,
                               .type = storage->as.storage.type,
                               .storage_elements = storage->as.storage.elements,
                               .offset = offset->as.number};
    bool is_contiguous = true;
    enum status status = read_layout(m, size, stride, &t, &is_contiguous);
    if (status != ST_OK)
        return status;
    if (t.offset < 0 || t.offset > t.storage_elements ||
        tensor_elements(t.dims, t.n_dims) > t.storage_elements - t.offset)
        return broken(m, "a tensor that reaches past its storage");
    if (!is_contiguous)
        t.n_dims = -1;
    struct value v = {KIND_TENSOR, {.tensor = (uint32_t)m->tensors.n}};
    status = push(&m->tensors, &t);
    return status == ST_OK ? push_value(m, v) : status;
}

static enum status reduce(struct machine *m)
{
    uint32_t args = 0, callable = 0;
    enum status status = pop(m, &args);
    if (status == ST_OK)
        status = pop(m, &callable);
    if (status != ST_OK)
        return status;
    const struct value *class = value_at(m, callable), *tuple = value_at(m, args);
    if (class->kind != KIND_CLASS || tuple->kind != KIND_TUPLE || class->as.class.id == CLASS_STORAGE)
        return broken(m, "a call of something that is no function");
    if (class->as.class.id == CLASS_REBUILD_TENSOR)
        return rebuild_tensor(m, tuple);
    if (tuple->as.tuple.n != 0)
        return broken(m, "an OrderedDict with arguments");
    return push_value(m, (struct value){.kind = KIND_DICT});
}

/* State of an OrderedDict: a module's version numbers, which no reader needs. */
static enum status build(struct machine *m)
{
    uint32_t state = 0, object = 0;
    enum status status = pop(m, &state);
    if (status == ST_OK)
        status = pop(m, &object);
    if (status != ST_OK)
        return status;
    if (value_at(m, object)->kind != KIND_DICT)
        return broken(m, "state for something that is no dictionary");
    return push(&m->stack, &object);
}

static enum status check_protocol(struct machine *m)
{
    uint64_t protocol = 0;
    enum status status = take_number(m, 1, &protocol);
    if (status != ST_OK)
        return status;
    return protocol == 2
               ? ST_OK
               : diag_set(m->why, ST_UNSUPPORTED, "%s: pickle protocol %d, expected 2", m->file, (int)protocol);
}

static enum status stop(struct machine *m)
{
    m->stopped = true;
    enum status status = pop(m, &m->result);
    return status == ST_OK && m->stack.n > 0 ? broken(m, "values left on the stack") : status;
}

static enum status refuse(const struct machine *m, uint8_t op)
{
    const char *name = pickle_opcode_name(op);
    if (!name)
        return diag_set(m->why, ST_UNSUPPORTED, "%s: 0x%02x is no pickle opcode", m->file, op);
    return diag_set(m->why, ST_UNSUPPORTED, "%s: pickle opcode %s (0x%02x), which no weight file needs", m->file, name,
                    op);
}

static enum status step(struct machine *m)
{
    const uint8_t *op = NULL;
    enum status status = take(m, 1, &op);
    if (status != ST_OK)
        return status;
    switch (*op) {
    case 0x80: return check_protocol(m);
    case '}': return push_value(m, (struct value){.kind = KIND_DICT});
    case '(': return push_value(m, (struct value){.kind = KIND_MARK});
    case 'N': return push_value(m, (struct value){.kind = KIND_NONE});
    case 0x88: return push_value(m, (struct value){KIND_BOOL, {.number = 1}});
    case 0x89: return push_value(m, (struct value){KIND_BOOL, {.number = 0}});
    case 'J': return push_int(m, 4, true);
    case 'K': return push_int(m, 1, false);
    case 'M': return push_int(m, 2, false);
    case 0x8a: return push_long(m);
    case 'X': return push_text(m);
    case 'c': return push_class(m);
    case ')': return push_tuple(m, 0);
    case 0x85: return push_tuple(m, 1);
    case 0x86: return push_tuple(m, 2);
    case 0x87: return push_tuple(m, 3);
    case 't': return tuple_to_mark(m);
    case 's': return set_items(m, 2, false);
    case 'u': return set_items_to_mark(m);
    case 'q': return put_memo(m, 1);
    case 'r': return put_memo(m, 4);
    case 'h': return get_memo(m, 1);
    case 'j': return get_memo(m, 4);
    case 'Q': return load_storage(m);
    case 'R': return reduce(m);
    case 'b': return build(m);
    case '.': return stop(m);
    default: return refuse(m, *op);
    }
}

/* The tensors of the resulting dictionary, under their names. */
static enum status collect(const struct machine *m, struct pickled_tensors *out)
{
    if (value_at(m, m->result)->kind != KIND_DICT)
        return broken(m, "it holds no dictionary");
    struct pickled_tensor *items = calloc(m->pairs.n + 1, sizeof *items);
    if (!items)
        return ST_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < m->pairs.n; i++) {
        struct pair pair = ((const struct pair *)m->pairs.items)[i];
        const struct value *key = value_at(m, pair.key), *v = value_at(m, pair.value);
        if (pair.dict != m->result)
            continue;
        int shown = key->kind == KIND_TEXT ? (int)(key->as.text.len > 200 ? 200 : key->as.text.len) : 0;
        const char *name = shown ? key->as.text.bytes : "";
        enum status status = ST_OK;
        if (key->kind != KIND_TEXT || v->kind != KIND_TENSOR)
            status = diag_set(m->why, ST_FORMAT, "%s: \"%.*s\" is not a named tensor", m->file, shown, name);
        else
            items[n] = ((const struct pickled_tensor *)m->tensors.items)[v->as.tensor];
        if (status == ST_OK && items[n].n_dims < 0)
            status = diag_set(m->why, ST_UNSUPPORTED, "%s: %.*s: strided; only row-major tensors are read", m->file,
                              shown, name);
        if (status != ST_OK) {
            free(items);
            return status;
        }
        items[n].name = key->as.text.bytes;
        items[n++].name_len = key->as.text.len;
    }
    *out = (struct pickled_tensors){items, n};
    return ST_OK;
}

enum status torch_pickle_read(const void *pickle, size_t size, const char *file, struct pickled_tensors *out,
                              struct diag *why)
{
    struct machine m = {
        .at = pickle,
        .end = (const uint8_t *)pickle + size,
        .file = file,
        .why = why,
        .values.each = sizeof(struct value),
        .children.each = sizeof(uint32_t),
        .stack.each = sizeof(uint32_t),
        .memo.each = sizeof(uint32_t),
        .pairs.each = sizeof(struct pair),
        .tensors.each = sizeof(struct pickled_tensor),
    };
    enum status status = ST_OK;
    while (status == ST_OK && !m.stopped)
        status = step(&m);
    if (status == ST_OK)
        status = collect(&m, out);
    void *arrays[] = {m.values.items, m.children.items, m.stack.items, m.memo.items, m.pairs.items, m.tensors.items};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    return status;
}
