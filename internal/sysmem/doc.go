// Package sysmem decides how much memory there is to use: what the system has available,
// within the limits of the process's control groups.
package sysmem
