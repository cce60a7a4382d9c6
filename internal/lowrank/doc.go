// Package lowrank decides what a latent of a given rank keeps, and says what it loses.
//
// It factors the stacked key and value projections of a layer jointly into a down- and an
// up-projection, and loses as little as a given measure of loss allows. The solution is in
// closed form and optimal: it is the theorem of Eckart and Young in a weighted norm
// (design §5).
package lowrank
