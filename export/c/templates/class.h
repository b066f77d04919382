/* SPDX-License-Identifier: Apache-2.0 */
/* The class with the largest score (the first of equals; one output: 1 if its logit is positive), or what net_scores
 * gives where it does not give LG_OK. */
int32_t net_class(net_state *net);
