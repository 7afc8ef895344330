/* The folder that a conversion fills: made under another name, brought to the disk, renamed. */
#ifndef MODEL_CONVERT_FOLDER_H
#define MODEL_CONVERT_FOLDER_H

#include "base/status.h"

MUST_CHECK enum status folder_create(const char *path, struct diag *why);
MUST_CHECK enum status folder_copy(const char *from_dir, const char *to_dir, const char *name, struct diag *why);
MUST_CHECK enum status folder_sync(const char *path, struct diag *why);
/* Renames from to its final name, both in the same parent, and syncs the parent. */
MUST_CHECK enum status folder_publish(const char *from, const char *to, struct diag *why);
/* Removes the folder's files, those of its folder vision_tower, and both folders; what else is in there stays. Best
 * effort. */
void folder_remove(const char *path);

#endif
