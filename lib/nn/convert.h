/* convert.h - model files in the formats of others, by their names' endings:
 * .npz has an array for each tensor, .npy one vector of all values, .tsv is text
 * (tsv.h), .safetensors, .st and names without an ending are safetensors. */
#ifndef NN_CONVERT_H
#define NN_CONVERT_H

#include "base/err.h"
#include "nn/model.h"
#include "nn/tensors.h"

/* That path is the name of a file that can be written, where plain of a
 * safetensors file; INVALID_ARGUMENT says which endings there are. */
int convert_check(const char *path, bool plain, struct err *err) MUST_CHECK;

/* Read a file, by an ending that is unknown as safetensors; floats become float32, integers I64. Where m is not NULL the
 * tensors must be that model's (checkpoint.h), which the file then says; a
 * .npy file is its flat vector, of parameters or of all values, and needs m
 * unless it has a shape of its own: one tensor, "values". */
int convert_read(struct tensors *ts, const char *path, const struct model *m,
		 struct err *err) MUST_CHECK;

/* m's values, all m->len, from a file that has its tensors and no others. */
int convert_values(const char *path, const struct model *m, float *values,
		   struct err *err) MUST_CHECK;

/* Write a file, as one step. Texts of the map are kept by safetensors only;
 * the others take float32 tensors (integers are left out). */
int convert_write(const struct tensors *ts, const char *path,
		  struct err *err) MUST_CHECK;

#endif
