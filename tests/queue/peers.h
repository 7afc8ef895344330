/* The same work through other queues; 0: not installed. */
#ifndef TESTS_QUEUE_PEERS_H
#define TESTS_QUEUE_PEERS_H

double beanstalkd_rate(const char *dir, long jobs); /* keeps its log in dir */

#endif
