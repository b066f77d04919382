/* SPDX-License-Identifier: Apache-2.0 */
/* The next object of this frame, by rows and columns of the grid: 1, and it is *object, its label a place in
 * net_class_names; 0 if there is none so far. The objects of a row are known as soon as the row below it is complete, so
 * ask after each row that is pushed, or once after the last. *place is the cell to go on from: 0 at the beginning of a
 * frame. The scores are a cell's side by side, the background's first. */
int32_t net_next_object(net_state *net, uint32_t *place, lg_object *object);
