// Package sysmem decides how much memory the program may use. That is the memory that the
// system has available, within the limits of the process's control groups.
package sysmem
