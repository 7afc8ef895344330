/* Claims of formats/read about files of data sets and of OpenAI's batches. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/read/inputs.h"
#include "formats/read/sorter.h"
#include "scratch.h"

static struct job *defaults(const char *text)
{
    struct json *v = NULL;
    struct job *job = NULL;
    cr_assert_eq(jsn_parse(text, strlen(text), "job", &v, NULL), ST_OK);
    cr_assert_eq(job_from_json(v, NULL, &job, NULL), ST_OK);
    jsn_free(v);
    return job;
}

static struct job *caption(void)
{
    return defaults("{\"image\": \"x\", \"task\": \"caption\"}");
}

static struct job *describe(void)
{
    struct job *job = caption();
    job->tasks[0].kind = TASK_DESCRIBE;
    return job;
}

static struct job *locate(void)
{
    struct job *job = caption();
    job->tasks[0].kind = TASK_LOCATE;
    return job;
}

static size_t show_regions(const struct job *j, char *out, size_t size)
{
    size_t n = 0;
    for (int i = 0; i < j->n_regions; i++)
        n += (size_t)snprintf(out + n, size - n, " %s:%g,%g,%g,%g", j->regions[i].id, j->regions[i].box[0],
                              j->regions[i].box[1], j->regions[i].box[2], j->regions[i].box[3]);
    return n;
}

static size_t show_tasks(const struct job *j, char *out, size_t size)
{
    size_t n = 0;
    for (int i = 0; i < j->n_tasks; i++) {
        const struct job_task *t = &j->tasks[i];
        for (int k = 0; k < t->n_phrases; k++)
            n += (size_t)snprintf(out + n, size - n, " %s=%s", t->id ? t->id : "-", t->phrases[k]);
        for (int k = 0; k < t->n_turns; k++)
            n += (size_t)snprintf(out + n, size - n, " (%s)", t->turns[k]);
    }
    return n;
}

/* "KEY IMAGE REGIONS TASKS" or "KEY !ERROR" a line; the scratch folder is left out. Takes the job. */
static const char *list(const char *path, const char *images, struct job *job)
{
    static char out[1 << 16];
    struct inputs *in;
    size_t n = 0, skip = strlen(scratch()) + 1;
    enum status s;
    struct inputs_options o = {
        .paths = &path, .n_paths = 1, .defaults = job, .images = &images, .n_images = images ? 1 : 0};
    out[0] = '\0';
    cr_assert_eq(inputs_open(&o, &in, NULL), ST_OK);
    for (;;) {
        struct input i = {0};
        if ((s = inputs_next(in, &i, NULL)) != ST_OK)
            break;
        const char *image = i.job->image;
        image += strncmp(image, scratch(), skip - 1) == 0 ? skip : 0;
        const char *key = i.job->key;
        key += strncmp(key, scratch(), skip - 1) == 0 ? skip : 0;
        if (i.error) {
            n += (size_t)snprintf(out + n, sizeof out - n, "%s !%s\n", key, i.error);
        } else {
            n += (size_t)snprintf(out + n, sizeof out - n, "%s %s", key, image);
            n += show_regions(i.job, out + n, sizeof out - n);
            n += show_tasks(i.job, out + n, sizeof out - n);
            n += (size_t)snprintf(out + n, sizeof out - n, "\n");
        }
        input_fini(&i);
    }
    cr_assert_eq(s, ST_CLOSED);
    inputs_close(in);
    job_free(job);
    return out;
}

static const char coco[] =
    "{\"info\": {\"year\": [2017]}, \"annotations\": ["
    "{\"id\": 7, \"image_id\": 30, \"bbox\": [10, 20, 5.5, 6], \"category_id\": 1, \"segmentation\": [[1,2,3,4,5,6]]},"
    "{\"id\": 8, \"image_id\": 20, \"bbox\": [1, 2, 3, 4]}, {\"id\": 9, \"image_id\": 30, \"bbox\": [0, 0, 9, 9]},"
    "{\"id\": 10, \"image_id\": 99, \"bbox\": [0, 0, 9, 9]}],"
    "\"images\": [{\"id\": 30, \"file_name\": \"b.jpg\", \"height\": 5, \"width\": 5}, {\"id\": 20, \"file_name\": "
    "\"a/c.jpg\"}, {\"id\": 40, \"coco_url\": \"http://images.example.org/val2017/40.jpg\"}], \"categories\": []}";

Test(datasets, coco_gives_every_image_or_every_annotation_whatever_the_order_of_its_lists)
{
    scratch_text("coco.json", coco);
    cr_expect_str_eq(list(scratch_path("coco.json"), NULL, caption()),
                     "20 a/c.jpg\n30 b.jpg\n40 http://images.example.org/val2017/40.jpg\n");
    const char *found = list(scratch_path("coco.json"), NULL, describe());
    cr_expect(strstr(found, "20 a/c.jpg 8:1,2,4,6\n30 b.jpg 7:10,20,15.5,26 9:0,0,9,9\n"), "%s", found);
    cr_expect(strstr(found, "coco.json:99 !invalid_job\n"), "%s", found);
    cr_expect(!strstr(found, "40 "), "an image without annotations asks for nothing: %s", found);
}

Test(datasets, images_lie_where_they_are_said_to)
{
    scratch_text("coco.json", coco);
    const char *found = list(scratch_path("coco.json"), "s3://bucket/val", caption());
    cr_expect(strstr(found, "20 s3://bucket/val/a/c.jpg\n30 s3://bucket/val/b.jpg\n"), "%s", found);
}

Test(datasets, a_folder_of_images_is_meant_from_the_current_one_wherever_the_file_lies)
{
    scratch_folder("annotations");
    scratch_text("annotations/coco.json", coco);
    cr_assert_eq(chdir(scratch()), 0);
    const char *found = list("annotations/coco.json", "val2017", caption());
    cr_expect(strstr(found, "20 val2017/a/c.jpg\n30 val2017/b.jpg\n40 http://images"), "%s", found);
    found = list("annotations/coco.json", "local:val2017", caption());
    cr_expect(strstr(found, "20 local:val2017/a/c.jpg\n"), "%s", found);
}

Test(datasets, an_image_with_more_annotations_than_a_job_may_have_comes_in_parts)
{
    char *text = malloc(1 << 20), *at = text;
    cr_assert(text);
    at += snprintf(at, 256, "{\"images\":[{\"id\":1,\"file_name\":\"a.jpg\"}],\"annotations\":[");
    for (int i = 0; i < 300; i++)
        at += snprintf(at, 256, "%s{\"id\":%d,\"image_id\":1,\"bbox\":[%d,0,1,1]}", i ? "," : "", i, i);
    snprintf(at, 256, "]}");
    scratch_text("many.json", text);
    free(text);
    const char *found = list(scratch_path("many.json"), NULL, describe());
    cr_expect(strstr(found, "1 a.jpg 0:0,0,1,1"), "%s", found);
    cr_expect(strstr(found, "\n1/2 a.jpg 128:128,0,129,1"), "%s", found);
    cr_expect(strstr(found, "\n1/3 a.jpg 256:256,0,257,1"), "%s", found);
}

Test(datasets, sentences_of_one_image_are_located_together)
{
    scratch_text("refcoco.json",
                 "{\"images\": [{\"file_name\": \"COCO_1.jpg\", \"id\": 0, \"original_id\": 1, \"caption\": \"left "
                 "dog\", \"dataset_name\": \"refcoco+\"}, {\"file_name\": \"COCO_2.jpg\", \"id\": 1, \"original_id\": "
                 "2, \"caption\": \"cat\", \"dataset_name\": \"refcoco+\"}, {\"file_name\": \"COCO_1.jpg\", \"id\": 2, "
                 "\"original_id\": 1, \"caption\": \"the other dog\", \"dataset_name\": \"refcoco+\"}], "
                 "\"annotations\": []}");
    const char *found = list(scratch_path("refcoco.json"), "photos", locate());
    cr_expect(strstr(found, "photos/COCO_1.jpg 0=left dog 2=the other dog\n"), "%s", found);
    cr_expect(strstr(found, "2 ") && strstr(found, "photos/COCO_2.jpg 1=cat\n"), "%s", found);
    scratch_text("flickr.json",
                 "{\"images\": [{\"file_name\": \"3.jpg\", \"id\": 5, \"original_img_id\": 3, \"sentence_id\": 0, "
                 "\"dataset_name\": \"flickr\", \"caption\": \"Zwei Männer und ein Hund\", \"tokens_positive_eval\": "
                 "[[[0, 11]], [[16, 19], [20, 24]]]}]}");
    found = list(scratch_path("flickr.json"), "photos", locate());
    cr_expect(strstr(found, "3 ") && strstr(found, "photos/3.jpg 5=Zwei Männer 5=ein Hund\n"), "%s", found);
}

Test(datasets, regions_of_visual_genome_are_described_or_looked_for)
{
    scratch_text("regions.json",
                 "[{\"id\": 1, \"regions\": [{\"region_id\": 11, \"image_id\": 1, \"x\": 4, \"y\": 5, \"width\": 6, "
                 "\"height\": 7, \"phrase\": \"a clock\"}, {\"region_id\": 12, \"x\": 0, \"y\": 0, \"width\": 1, "
                 "\"height\": 1, \"phrase\": \"shade\"}]}, {\"id\": 2, \"regions\": []}]");
    scratch_folder("VG");
    scratch_text("VG/1.jpg", "x");
    cr_expect_str_eq(list(scratch_path("regions.json"), NULL, caption()), "1 1.jpg\n2 2.jpg\n");
    const char *found = list(scratch_path("regions.json"), scratch_path("VG"), describe());
    cr_expect_str_eq(found, "1 VG/1.jpg 11:4,5,10,12 12:0,0,1,1\n", "%s", found);
    found = list(scratch_path("regions.json"), NULL, locate());
    cr_expect_str_eq(found, "1 1.jpg 11=a clock 12=shade\n", "%s", found);
}

Test(datasets, phrases_of_flickr30k_are_looked_for_sentence_by_sentence)
{
    scratch_folder("f30k");
    scratch_folder("f30k/Sentences");
    scratch_folder("f30k/Annotations");
    scratch_text("f30k/Sentences/100.txt", "[/EN#1/people Two young guys] with [/EN#2/bodyparts shaggy hair] look .\n"
                                           "Nothing is marked here .\n[/EN#1/people Men] .\n");
    const char *found = list(scratch_path("f30k"), "photos", locate());
    cr_expect(strstr(found, "100 ") && strstr(found, "photos/100.jpg sentence-0=Two young guys sentence-0=shaggy hair "
                                                     "sentence-2=Men\n"),
              "%s", found);
    found = list(scratch_path("f30k"), NULL, caption());
    cr_expect_str_eq(found, "100 f30k/100.jpg\n", "%s", found);
}

Test(datasets, what_is_no_data_set_or_breaks_off_is_one_error)
{
    scratch_text("other.json", "{\"settings\": {\"a\": 1}}");
    scratch_text("list.json", "[1, 2, 3]");
    scratch_text("cut.json", "{\"images\": [{\"id\": 1, \"file_na");
    scratch_text("none.json", "words");
    cr_expect_str_eq(list(scratch_path("other.json"), NULL, caption()), "other.json !bad_manifest\n");
    cr_expect_str_eq(list(scratch_path("list.json"), NULL, caption()), "list.json !bad_manifest\n");
    cr_expect_str_eq(list(scratch_path("cut.json"), NULL, caption()), "cut.json !bad_manifest\n");
    cr_expect_str_eq(list(scratch_path("none.json"), NULL, caption()), "none.json !bad_manifest\n");
}

Test(datasets, every_cut_of_a_data_set_ends_in_inputs_or_an_error)
{
    char copy[sizeof coco];
    for (size_t n = sizeof coco - 2; n > 0; n -= n > 3 ? 3 : 1) {
        memcpy(copy, coco, n);
        copy[n] = '\0';
        scratch_text("cut.json", copy);
        cr_expect_str_eq(list(scratch_path("cut.json"), NULL, describe()), "cut.json !bad_manifest\n", "%zu", n);
    }
}

/* ---- OpenAI's batches ---- */

Test(datasets, lines_of_a_batch_are_questions_about_their_image)
{
    scratch_text(
        "batch.jsonl",
        "{\"custom_id\": \"a\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\", \"body\": {\"model\": \"m\", "
        "\"max_tokens\": 7, \"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", "
        "\"content\": [{\"type\": \"text\", \"text\": \"What?\"}, {\"type\": \"image_url\", \"image_url\": {\"url\": "
        "\"https://example.org/a.jpg\"}}]}, {\"role\": \"assistant\", \"content\": \"A dog.\"}, {\"role\": \"user\", "
        "\"content\": \"Sure?\"}]}}\n"
        "{\"custom_id\": \"b\", \"body\": {\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", "
        "\"image_url\": {\"url\": \"b.jpg\"}}]}]}}\n"
        "{\"custom_id\": \"c\", \"url\": \"/v1/embeddings\", \"body\": {\"messages\": []}}\n"
        "{\"custom_id\": \"d\", \"body\": {\"messages\": [{\"role\": \"user\", \"content\": \"no image\"}]}}\n"
        "{\"custom_id\": \"e\", \"body\": {\"n\": 2, \"messages\": []}}\n");
    const char *found = list(scratch_path("batch.jsonl"), NULL, caption());
    cr_expect_str_eq(found,
                     "a https://example.org/a.jpg (Be brief.\nWhat?) (A dog.) (Sure?)\n"
                     "b b.jpg\nc !invalid_job\nd !invalid_job\ne !invalid_job\n",
                     "%s", found);
}

/* ---- sorting ---- */

Test(datasets, a_sorter_gives_more_than_memory_holds_in_order)
{
    enum { ROWS = 400000 };
    struct sorter *s;
    uint64_t number, before = 0, n = 0, last = 0;
    const void *row;
    size_t len;
    enum status status;
    cr_assert_eq(sorter_new(&s), ST_OK);
    for (uint64_t i = 0; i < ROWS; i++) {
        uint64_t pair[5] = {(i * 2654435761U) % 1009, i};
        cr_assert_eq(sorter_put(s, pair[0], pair, i % 2 ? sizeof pair : 16, NULL), ST_OK);
    }
    while ((status = sorter_next(s, &number, &row, &len, NULL)) == ST_OK) {
        uint64_t pair[2];
        memcpy(pair, row, sizeof pair);
        cr_assert(number >= before && pair[0] == number && len == (pair[1] % 2 ? 40 : 16));
        cr_assert(number > before || n == 0 || pair[1] > last);
        before = number;
        last = pair[1];
        n++;
    }
    cr_expect_eq(status, ST_CLOSED);
    cr_expect_eq(n, ROWS);
    sorter_free(s);
}
