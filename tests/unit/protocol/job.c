#include "protocol/job.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(job, every_kind_has_a_name_that_reads_back)
{
    for (int k = 0; k < TASK_KIND_COUNT_; k++) {
        enum task_kind back;
        cr_assert_eq(task_kind_parse(task_kind_name((enum task_kind)k), &back, NULL), ST_OK);
        cr_assert_eq((int)back, k);
    }
    enum task_kind kind = TASK_ASK;
    struct diag why = {""};
    cr_assert_eq(task_kind_parse("paint", &kind, &why), ST_UNSUPPORTED);
    cr_assert_eq(kind, TASK_ASK);
    cr_assert_str_eq(why.text, "unknown task \"paint\"; expected caption, describe, locate or ask");
}

Test(job, half_built_jobs_and_null_can_be_freed)
{
    job_free(NULL);
    struct job *j = calloc(1, sizeof *j);
    j->n_tasks = 3;
    j->n_regions = 2;
    j->tasks = calloc(3, sizeof *j->tasks);
    j->tasks[1].n_phrases = 2;
    j->tasks[1].phrases = calloc(2, sizeof(char *));
    j->tasks[1].phrases[0] = strdup("dog");
    j->tasks[2].n_turns = 1;
    job_free(j);
}

Test(job, the_id_depends_on_tenant_campaign_and_key_and_on_their_borders)
{
    char a[] = "a", ab[] = "ab", bc[] = "bc", c[] = "c";
    struct job x = {.tenant = ab, .campaign = c, .key = c}, y = {.tenant = a, .campaign = bc, .key = c};
    uint8_t id_x[ID_BYTES], id_y[ID_BYTES];
    char hex[2 * ID_BYTES + 1];
    job_id(&x, id_x);
    job_id(&y, id_y);
    cr_assert_arr_neq(id_x, id_y, ID_BYTES);
    job_id_hex(id_x, hex);
    /* printf 'ab\0c\0c' | sha256sum */
    cr_assert_str_eq(hex, "06e8091496b20180f78cd2c4fa0d182c");
}
