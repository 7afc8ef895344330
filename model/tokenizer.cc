extern "C" {
#include "kernels/box_automaton.h"
#include "model/tokenizer.h"
}

#include <sentencepiece_processor.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "model/text_clean.h"

namespace
{
const char region_text[] = "<region_fea>";
const char image_text[] = "<image>";
const char space_mark[] = "\xe2\x96\x81";  /* U+2581: how a piece writes a space */
const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
} // namespace

struct tokenizer {
    sentencepiece::SentencePieceProcessor pieces;
    int region_id = 0;
    bool has_dummy_prefix = true;
    struct special {
        std::string text;
        int32_t id;
    } specials[4]; /* in the text they become ids; the last one is <region_fea> */
    int32_t digits[10] = {0};

    bool is_control(int32_t id) const
    {
        return id == specials[0].id || id == specials[1].id || id == specials[2].id;
    }
};

namespace
{
/* Generated ids to text, one by one (spec 7.2). Stretches of pieces between region tokens print with a space between
 * them; each stretch drops its own dummy prefix, as SentencePiece does when it decodes the stretch alone. */
class printer
{
  public:
    explicit printer(const tokenizer *t) : t_(t)
    {
    }
    void feed(int32_t id, std::string *out);
    void flush(std::string *out); /* prints what is left of a broken byte sequence */

  private:
    void separate(std::string *out);
    void feed_piece(int32_t id, std::string *out);
    bool print_bytes(bool is_last, std::string *out);

    const tokenizer *t_;
    std::string bytes_; /* of byte pieces, not yet a character */
    bool any_ = false, in_stretch_ = false;
    bool at_start_ = true, dropped_prefix_ = false, printed_ = false; /* of the stretch */
};

void printer::feed(int32_t id, std::string *out)
{
    if (t_->is_control(id))
        return;
    if (id == t_->region_id) {
        flush(out);
        separate(out);
        out->append(region_text);
        in_stretch_ = false;
        return;
    }
    if (!in_stretch_) {
        separate(out);
        in_stretch_ = true;
        at_start_ = true;
        dropped_prefix_ = printed_ = false;
    }
    if (id < t_->pieces.GetPieceSize())
        feed_piece(id, out);
}

void printer::flush(std::string *out)
{
    while (!bytes_.empty())
        print_bytes(true, out);
}

void printer::separate(std::string *out)
{
    if (any_)
        out->push_back(' ');
    any_ = true;
}

void printer::feed_piece(int32_t id, std::string *out)
{
    const std::string &piece = t_->pieces.IdToPiece(id);
    if (t_->pieces.IsByte(id)) {
        bytes_.push_back((char)std::strtol(piece.c_str() + 3, nullptr, 16)); /* "<0xAB>" */
        while (!bytes_.empty() && print_bytes(false, out))
            ;
        return;
    }
    flush(out);
    at_start_ = at_start_ && !dropped_prefix_ && !printed_;
    if (t_->pieces.IsControl(id))
        return;
    size_t at = 0, mark = sizeof space_mark - 1, before = out->size();
    if (at_start_ && t_->has_dummy_prefix && piece.compare(0, mark, space_mark) == 0) {
        at = mark;
        dropped_prefix_ = true;
    }
    while (at < piece.size()) {
        bool is_mark = piece.compare(at, mark, space_mark) == 0;
        out->push_back(is_mark ? ' ' : piece[at]);
        at += is_mark ? mark : 1;
    }
    printed_ = printed_ || out->size() > before;
}

/* Prints one character of the pending bytes; false: it may still become one. NUL has no place in a C string. */
bool printer::print_bytes(bool is_last, std::string *out)
{
    uint32_t code = 0;
    int n = utf8_decode(bytes_.data(), bytes_.size(), &code);
    if (n == UTF8_CUT && !is_last)
        return false;
    if (n > 0 && code != 0)
        out->append(bytes_, 0, (size_t)n);
    else
        out->append(replacement);
    bytes_.erase(0, n > 0 ? (size_t)n : 1);
    printed_ = true;
    return true;
}

/* Bytes of "[" and "]" are brackets too. */
enum box_class box_class_of(const std::string &piece)
{
    size_t opens = 0, closes = 0, n = piece.size();
    for (char c : piece) {
        opens += c == '[';
        closes += c == ']';
    }
    if (piece == "<0x5B>" || piece == "<0x5D>" || opens > 1 || closes > 1)
        return BOX_BROKEN;
    if ((opens && piece[n - 1] != '[') || (closes && piece[0] != ']'))
        return BOX_BROKEN;
    if (opens || closes)
        return opens && closes ? BOX_CLOSE_OPEN : opens ? BOX_OPEN : BOX_CLOSE;
    return piece == "," ? BOX_COMMA : piece == space_mark ? BOX_SPACE : BOX_TEXT;
}

enum status load(tokenizer *t, const std::string &path, int region_id, struct diag *why)
{
    if (access(path.c_str(), R_OK) != 0)
        return diag_set(why, errno == ENOENT ? ST_MISSING : ST_IO, "%s: %s", path.c_str(), strerror(errno));
    struct stat st;
    if (stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode))
        return diag_set(why, ST_IO, "%s: not a regular file", path.c_str());
    if (!t->pieces.Load(path).ok())
        return diag_set(why, ST_FORMAT, "%s: expected a SentencePiece model, found %lld bytes of something else",
                        path.c_str(), (long long)st.st_size);
    int ids[3] = {t->pieces.unk_id(), t->pieces.bos_id(), t->pieces.eos_id()};
    for (int i = 0; i < 3; i++) {
        if (ids[i] < 0)
            return diag_set(why, ST_FORMAT, "%s: expected pieces for unknown, begin and end", path.c_str());
        t->specials[i] = {t->pieces.IdToPiece(ids[i]), ids[i]};
    }
    if (region_id < t->pieces.GetPieceSize())
        return diag_set(why, ST_FORMAT, "%s: %s has id %d, expected one behind its %d pieces", path.c_str(),
                        region_text, region_id, t->pieces.GetPieceSize());
    t->region_id = region_id;
    t->specials[3] = {region_text, region_id};
    for (int i = 0; i < 10; i++) {
        int id = t->pieces.PieceToId(std::string(1, (char)('0' + i)));
        t->digits[i] = t->pieces.IsUnknown(id) ? -1 : id;
    }
    std::vector<int> probe;
    if (!t->pieces.Encode("x", &probe).ok() || probe.empty())
        return diag_set(why, ST_FORMAT, "%s: it does not encode", path.c_str());
    t->has_dummy_prefix = t->pieces.IdToPiece(probe[0]).compare(0, sizeof space_mark - 1, space_mark) == 0;
    return ST_OK;
}

enum status check_utf8(const char *text, size_t len, struct diag *why)
{
    for (size_t at = 0; at < len;) {
        uint32_t code = 0;
        int n = utf8_decode(text + at, len - at, &code);
        if (n <= 0)
            return diag_set(why, ST_FORMAT, "text: not UTF-8 at byte %zu", at);
        at += (size_t)n;
    }
    return ST_OK;
}

/* The first special token in text, or nullptr. */
const tokenizer::special *find_special(const tokenizer *t, const std::string &text, size_t from, size_t *at)
{
    const tokenizer::special *first = nullptr;
    *at = text.size();
    for (const auto &s : t->specials) {
        size_t found = text.find(s.text, from);
        if (found < *at) {
            *at = found;
            first = &s;
        }
    }
    return first;
}

/* Appends the ids of one text, without BOS (spec 6.3). */
enum status encode(const tokenizer *t, const std::string &text, std::vector<int32_t> *ids, struct diag *why)
{
    const tokenizer::special *region = &t->specials[3];
    bool is_behind_region = false;
    for (size_t from = 0; from < text.size();) {
        size_t at = 0;
        const tokenizer::special *s = find_special(t, text, from, &at);
        size_t start = from, end = at;
        if (is_behind_region)
            start += text_space_in_front(text.data() + start, end - start);
        if (s == region)
            end = start + text_without_space_behind(text.data() + start, end - start);
        std::vector<int> piece;
        if (end > start) {
            auto done = t->pieces.Encode({text.data() + start, end - start}, &piece);
            if (!done.ok())
                return diag_set(why, ST_FORMAT, "text: %.200s", done.ToString().c_str());
            ids->insert(ids->end(), piece.begin(), piece.end());
        }
        if (s)
            ids->push_back(s->id);
        is_behind_region = s == region;
        from = s ? at + s->text.size() : text.size();
    }
    return ST_OK;
}

enum status hand_out(const std::vector<int32_t> &from, int32_t **ids, int *n)
{
    if (from.size() > INT32_MAX)
        return ST_LIMIT;
    int32_t *copy = (int32_t *)malloc(from.size() * sizeof *copy + 1);
    if (!copy)
        return ST_NOMEM;
    std::copy(from.begin(), from.end(), copy);
    *ids = copy;
    *n = (int)from.size();
    return ST_OK;
}

enum status decode(const tokenizer *t, const int32_t *ids, int n, bool cleanup, char **text, size_t *token_end,
                   struct diag *why)
{
    std::string out;
    std::vector<size_t> marks((size_t)n);
    printer p(t);
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= tokenizer_vocab(t))
            return diag_set(why, ST_INVALID, "id %d at %d: expected 0 to %d", ids[i], i, tokenizer_vocab(t) - 1);
        p.feed(ids[i], &out);
        marks[(size_t)i] = out.size();
    }
    p.flush(&out);
    if (n > 0)
        marks[(size_t)n - 1] = out.size();
    char *copy = (char *)malloc(out.size() + 1);
    if (!copy)
        return ST_NOMEM;
    memcpy(copy, out.data(), out.size());
    size_t len = out.size();
    if (cleanup)
        len = text_clean_up(copy, len, marks.data(), n);
    len = text_strip_answer(copy, len, marks.data(), n);
    copy[len] = '\0';
    if (token_end)
        std::copy(marks.begin(), marks.end(), token_end);
    *text = copy;
    return ST_OK;
}
} // namespace

extern "C" {

/* No exception leaves this file: the only one that SentencePiece and the containers throw is lack of memory. */
enum status tokenizer_open(const char *dir, int region_id, struct tokenizer **out, struct diag *why)
try {
    std::unique_ptr<tokenizer> t(new tokenizer);
    enum status status = load(t.get(), std::string(dir) + "/tokenizer.model", region_id, why);
    if (status == ST_OK)
        *out = t.release();
    return status;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

void tokenizer_close(struct tokenizer *t)
{
    delete t;
}

int tokenizer_vocab(const struct tokenizer *t)
{
    return t->region_id + 1;
}

enum status tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, int32_t **ids, int *n,
                             struct diag *why)
try {
    enum status status = check_utf8(text, len, why);
    std::vector<int32_t> all = {t->specials[1].id};
    if (status == ST_OK)
        status = encode(t, std::string(text, len), &all, why);
    return status == ST_OK ? hand_out(all, ids, n) : status;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

enum status tokenizer_encode_prompt(const struct tokenizer *t, const char *prompt, size_t len, int32_t **ids, int *n,
                                    struct diag *why)
try {
    enum status status = check_utf8(prompt, len, why);
    std::vector<int32_t> all = {t->specials[1].id};
    const std::string text(prompt, len);
    for (size_t from = 0; status == ST_OK;) {
        size_t at = text.find(image_text, from);
        status = encode(t, text.substr(from, at == std::string::npos ? at : at - from), &all, why);
        if (at == std::string::npos)
            break;
        all.push_back(TOKEN_IMAGE);
        from = at + sizeof image_text - 1;
    }
    return status == ST_OK ? hand_out(all, ids, n) : status;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

enum status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int n, bool cleanup, char **text,
                             size_t *token_end, struct diag *why)
try {
    return decode(t, ids, n, cleanup, text, token_end, why);
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

struct detokenizer {
    printer p;
    const tokenizer *t;
    std::string piece;
};

enum status detokenizer_new(const struct tokenizer *t, struct detokenizer **out)
try {
    *out = new detokenizer{printer(t), t, {}};
    return ST_OK;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

void detokenizer_free(struct detokenizer *d)
{
    delete d;
}

enum status detokenizer_feed(struct detokenizer *d, int32_t id, const char **piece, size_t *len)
try {
    if (id < 0 || id >= tokenizer_vocab(d->t))
        return ST_INVALID;
    d->piece.clear();
    d->p.feed(id, &d->piece);
    *piece = d->piece.c_str();
    *len = d->piece.size();
    return ST_OK;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

enum status detokenizer_end(struct detokenizer *d, const char **piece, size_t *len)
try {
    d->piece.clear();
    d->p.flush(&d->piece);
    *piece = d->piece.c_str();
    *len = d->piece.size();
    return ST_OK;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

enum status tokenizer_box_classes(const struct tokenizer *t, int32_t *classes, struct diag *why)
try {
    static const char *const names[BOX_CLASSES] = {"", "\",\"", "a blank", "\"[\"", "\"]\""};
    bool found[BOX_CLASSES] = {};
    for (int32_t id = 0; id < tokenizer_vocab(t); id++) {
        int digit = tokenizer_digit(t, id);
        bool is_piece = id < t->pieces.GetPieceSize() && !t->pieces.IsControl(id) && !t->pieces.IsUnknown(id);
        classes[id] = digit >= 0 ? BOX_DIGIT + digit : is_piece ? box_class_of(t->pieces.IdToPiece(id)) : BOX_TEXT;
        found[classes[id]] = true;
    }
    for (int c = BOX_COMMA; c < BOX_CLASSES; c++) {
        bool needed = c <= BOX_CLOSE || c >= BOX_DIGIT;
        if (needed && !found[c])
            return diag_set(why, ST_UNSUPPORTED, "well-formed boxes: the tokenizer has no token for %s%.1s by itself",
                            c < BOX_DIGIT ? names[c] : "the digit ", c < BOX_DIGIT ? "" : &"0123456789"[c - BOX_DIGIT]);
    }
    return ST_OK;
} catch (const std::bad_alloc &) {
    return ST_NOMEM;
}

int tokenizer_digit(const struct tokenizer *t, int32_t id)
{
    for (int i = 0; i < 10; i++)
        if (id == t->digits[i] && id >= 0)
            return i;
    return -1;
}

} // extern "C"
