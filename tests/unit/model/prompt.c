#include "model/prompt.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/unit/model/scratch.h"

static const struct template_config published = {
    .system = (char[]){"A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: "
                       "top-left [0, 0], bottom-right [width-1, height-1]. Increasing x moves right; y moves down. "
                       "Bounding box: [x1, y1, x2, y2]. Image size: 1000x1000. Follow instructions. "},
    .roles = {(char[]){"USER"}, (char[]){"ASSISTANT"}},
    .separators = {(char[]){" "}, (char[]){"</s>"}},
};
static const struct template_config brief = {
    .system = (char[]){"S"}, .roles = {(char[]){"U"}, (char[]){"A"}}, .separators = {(char[]){"|"}, (char[]){"#"}}};
static const struct task_texts texts = {.caption = (char[]){"Describe it."},
                                        .describe = (char[]){"What is {region}?"},
                                        .locate = (char[]){"Where is {phrase}?"},
                                        .locate_many = (char[]){"Where are {phrases}? All of {phrases}!"}};

static void check_render(const char *const *turns, int n, const char *want)
{
    char *text = NULL;
    struct diag why = {0};
    cr_assert_eq(prompt_render(&brief, turns, n, &text, &why), ST_OK, "%s", why.text);
    cr_assert_str_eq(text, want);
    free(text);
}

static void check_render_refused(const char *const *turns, int n, const char *says)
{
    char *text = NULL;
    struct diag why = {0};
    cr_assert_eq(prompt_render(&brief, turns, n, &text, &why), ST_INVALID);
    cr_assert_not_null(strstr(why.text, says), "%s", why.text);
    cr_assert_null(text);
}

Test(prompt, turns_alternate_and_the_image_comes_first)
{
    check_render((const char *[]){"q"}, 1, "S|U: <image>\nq|A:");
    check_render((const char *[]){"q", "a", "r"}, 3, "S|U: <image>\nq|A: a#U: r|A:");
}

Test(prompt, image_marks_of_the_text_are_taken_out_however_they_are_nested)
{
    check_render((const char *[]){"<image>\nq <image>x"}, 1, "S|U: <image>\nq x|A:");
    check_render((const char *[]){"<im<image>age>q<<image>image<image>>"}, 1, "S|U: <image>\nq|A:");
    check_render((const char *[]){"<im<im<image>age>age>q"}, 1, "S|U: <image>\nq|A:");
    check_render((const char *[]){"q", "<image>a", "<image>\nr"}, 3, "S|U: <image>\nq|A: a#U: r|A:");
}

Test(prompt, empty_turns_and_even_counts_are_refused)
{
    check_render_refused((const char *[]){""}, 1, "turn 1");
    check_render_refused((const char *[]){" \n\t"}, 1, "turn 1");
    check_render_refused((const char *[]){"<image>\n"}, 1, "turn 1");
    check_render_refused((const char *[]){"q", "a", ""}, 3, "turn 3");
    check_render_refused((const char *[]){"q", "", "r"}, 3, "turn 2");
    check_render_refused((const char *[]){"q", "a"}, 2, "2 turns");
    check_render_refused(NULL, 0, "0 turns");
}

/* Prompts that the published code makes of turns; those of the tokenizer's cases and of whole answers. */
static void check_prompts(const struct json *list)
{
    cr_assert_geq(jsn_size(list), 1);
    for (size_t i = 0; i < jsn_size(list); i++) {
        const struct json *turns = jsn_get(jsn_at(list, i), "turns");
        const char *given[32];
        size_t n = jsn_size(turns);
        cr_assert_leq(n, 32);
        bool ours = false; /* empty: refused here; holding the image mark: taken out here */
        for (size_t k = 0; k < n; k++) {
            given[k] = jsn_string(jsn_at(turns, k), "");
            ours = ours || !*given[k] || strstr(given[k], "<image>");
        }
        if (ours)
            continue;
        char *text = NULL;
        struct diag why = {0};
        cr_assert_eq(prompt_render(&published, given, (int)n, &text, &why), ST_OK, "%s", why.text);
        cr_assert_str_eq(text, jsn_string(jsn_get(jsn_at(list, i), "prompt"), ""));
        free(text);
    }
}

static void check_prompts_of(const char *name, const char *member)
{
    char path[SCRATCH_PATH];
    struct json *root = NULL;
    struct diag why = {0};
    fixture_path(path, name);
    cr_assert_eq(jsn_load(path, 64 << 20, &root, &why), ST_OK, "%s", why.text);
    check_prompts(jsn_get(root, member));
    jsn_free(root);
}

Test(prompt, prompts_equal_those_of_the_reference)
{
    check_prompts_of("tokenizer.json", "prompts");
    check_prompts_of("tiny-ferret-a-cases/cases.json", "cases");
}

enum { MAX_ORDER = 4 };
struct placed {
    char *text;
    int order[MAX_ORDER], n, next;
};

static struct region regions[3] = {
    {.width = 100, .height = 100, .kind = REGION_BOX, .bounds = {1, 2, 3, 4}},
    {.width = 100, .height = 100, .kind = REGION_POINT, .point = {50, 60}},
    {.width = 100, .height = 100, .kind = REGION_MASK, .bounds = {0, 0, 99, 99}},
};

static enum status place(const char *text, struct placed *p, struct diag *why)
{
    return prompt_place_regions(text, regions, 3, &p->next, &p->text, p->order, MAX_ORDER, &p->n, why);
}

static void check_placed(const char *text, const char *want, int n, const int *order, int next)
{
    struct placed p = {.next = 0};
    struct diag why = {0};
    cr_assert_eq(place(text, &p, &why), ST_OK, "%s", why.text);
    cr_assert_str_eq(p.text, want);
    cr_assert_eq(p.n, n);
    cr_assert_eq(p.next, next);
    for (int i = 0; i < n; i++)
        cr_assert_eq(p.order[i], order[i]);
    free(p.text);
}

Test(prompt, regions_are_written_in_the_order_of_their_mention)
{
    check_placed("Is {region1} in {region0}?", "Is [500, 600] <region_fea> in [10, 20, 30, 40] <region_fea>?", 2,
                 (const int[]){1, 0}, 0);
    check_placed("{region}{region} [1, 2]", "[10, 20, 30, 40] <region_fea>[500, 600] <region_fea> [1, 2]", 2,
                 (const int[]){0, 1}, 2);
    check_placed("{region2} {region2}", "[0, 0, 990, 990] <region_fea> [0, 0, 990, 990] <region_fea>", 2,
                 (const int[]){2, 2}, 0);
}

Test(prompt, other_braces_are_text)
{
    check_placed("{ {regions} {region-1} {region1 {Region}", "{ {regions} {region-1} {region1 {Region}", 0, NULL, 0);
    check_placed("", "", 0, NULL, 0);
}

Test(prompt, mentions_of_unknown_regions_or_too_many_are_refused)
{
    struct placed p = {.next = 1};
    struct diag why = {0};
    cr_assert_eq(place("a {region3}", &p, &why), ST_INVALID);
    cr_assert_not_null(strstr(why.text, "{region3}"), "%s", why.text);
    cr_assert_eq(place("{region99999999999999999999}", &p, &why), ST_INVALID);
    cr_assert_eq(place("{region} {region} {region}", &p, &why), ST_INVALID);
    cr_assert_eq(place("{region0}{region0}{region0}{region0}{region0}", &p, &why), ST_LIMIT);
    cr_assert(p.next == 1 && !p.text);
}

Test(prompt, questions_of_the_tasks_hold_their_phrases)
{
    char *text = NULL;
    cr_assert_eq(prompt_caption(&texts, &text), ST_OK);
    cr_assert_str_eq(text, "Describe it.");
    free(text);
    cr_assert_eq(prompt_describe(&texts, &text), ST_OK);
    cr_assert_str_eq(text, "What is {region}?");
    free(text);
    cr_assert_eq(prompt_locate(&texts, (const char *[]){"the Red, round hat"}, 1, &text), ST_OK);
    cr_assert_str_eq(text, "Where is the Red round hat?");
    free(text);
    cr_assert_eq(prompt_locate(&texts, (const char *[]){"A Dog", "two, cats", "Éclair"}, 3, &text), ST_OK);
    cr_assert_str_eq(text, "Where are a dog, two cats, Éclair? All of a dog, two cats, Éclair!");
    free(text);
    cr_assert_eq(prompt_locate(&texts, NULL, 0, &text), ST_INVALID);
}
