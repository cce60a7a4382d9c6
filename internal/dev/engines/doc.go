// Command engines decides whether what the program writes is, in the engines that it is
// written for, what verify says of it. It converts a real model, has each engine that is
// installed run the source and the conversion, and prints a table: how far the
// log-probability of every token is from that of verify, what the engine writes when it
// always takes the likeliest token, and what it caches. A GGUF file must have the bytes that
// llama.cpp's converter writes of the directory of the same conversion. It exits with status 1
// if one of them is further off than a tolerance, or fails.
//
//	engines -program mha2mla -model DIR -gguf FILE -python PYTHON -installed DIR -work DIR [flags]
//
// Each engine is run by a small Python program of its own in py. It is given the names of
// two files: of a request to read and of an answer to write, both JSON (request, answer).
package main
