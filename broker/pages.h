/* The broker's pages: the status page, a page a campaign, and what their scripts read. All of it for looking only; what
 * comes from outside reaches the pages as JSON and is put into them as text.
 *
 *   /                  campaigns, workers, queue, errors, live
 *   /campaigns/NAME    the newest results of a campaign, boxes drawn
 *   /api/status        the newest snapshot; /api/events: a stream of them
 *   /api/results?campaign=NAME&n=24
 *   /api/picture?job=ID   the image of a record (pictures.h), or 404 and a sentence that says why there is none
 */
#ifndef BROKER_PAGES_H
#define BROKER_PAGES_H

#include "broker/board.h"
#include "broker/pictures.h"
#include "observe/web.h"

/* A web_handler's work; leaves answer->code 0 where there is no such page. */
void pages_answer(struct board *b, const struct pictures *p, const struct web_request *q, struct web_answer *answer);

#endif
