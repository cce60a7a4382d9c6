//go:build !noasm

package vector

import "golang.org/x/sys/cpu"

// group is how many numbers a kernel takes at a time. It takes whole groups alone.
const group = 8

// vectors says whether the processor runs the kernels.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// groupsIn returns how many groups the kernels take of n numbers.
func groupsIn(n int) int {
	if !vectors {
		return 0
	}
	return n / group
}

// Each function below does the work of the one whose name it begins with, on as many of the
// first numbers as its kernel takes, and returns how many those are.

func maximumFirst(v []float32) (largest float32, done int) {
	groups := groupsIn(len(v))
	if groups == 0 {
		return v[0], 1
	}
	var lanes [group]float32
	maximumGroups(groups, &v[0], &lanes)
	largest = lanes[0]
	for _, x := range lanes[1:] {
		largest = max(largest, x)
	}
	return largest, groups * group
}

func exponentialFirst(v []float32, shift float32) (sum float32, done int) {
	groups := groupsIn(len(v))
	if groups == 0 {
		return 0, 0
	}
	var lanes [group]float32
	exponentialGroups(groups, &v[0], shift, &lanes)
	for _, x := range lanes {
		sum += x
	}
	return sum, groups * group
}

func scaleFirst(v []float32, factor float32) (done int) {
	groups := groupsIn(len(v))
	if groups > 0 {
		scaleGroups(groups, &v[0], factor)
	}
	return groups * group
}

func gateFirst(g, up []float32, linear, cubic float32) (done int) {
	groups := groupsIn(len(g))
	if groups > 0 {
		gateGroups(groups, &g[0], &up[0], linear, cubic)
	}
	return groups * group
}

func observeFirst(near, seen, far, a, d []float32) (done int) {
	groups := groupsIn(len(a))
	if groups > 0 {
		observeGroups(groups, &near[0], &seen[0], &far[0], &a[0], &d[0])
	}
	return groups * group
}

func logSumFirst(p, q []float32, largestP, largestQ float64) (s Sums, done int) {
	groups := groupsIn(len(p))
	if groups == 0 {
		return s, 0
	}
	var lanes [3][4]float64
	logSumGroups(groups, &p[0], &q[0], &[2]float64{largestP, largestQ}, &lanes)
	for i, sum := range []*float64{&s.ExpP, &s.Cross, &s.ExpQ} {
		for _, x := range lanes[i] {
			*sum += x
		}
	}
	return s, groups * group
}
