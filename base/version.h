/* The version of every program of this tree, as --version prints it and records carry it. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define FERRETRY_VERSION "0.1.0"

#endif
