package f32

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	_ "github.com/mha2mla/mha2mla/internal/fastblas" // products under blas32 and blas64
)

// Product sets c to alpha·op(a)·op(b) + beta·c, where ta and tb say whether op transposes. It
// leaves c as it is if a or b is empty, because an empty matrix stands for a part that a
// layer does not have. It panics if the shapes do not match, as BLAS does.
func Product[T Real](c General[T], ta blas.Transpose, a General[T], tb blas.Transpose, b General[T], alpha, beta T) {
	if a.Rows == 0 || a.Cols == 0 || b.Rows == 0 || b.Cols == 0 {
		return
	}
	switch c := any(c).(type) {
	case General[float32]:
		blas32.Gemm(ta, tb, float32(alpha), Raw(a), Raw(b), float32(beta), Raw(c))
	case General[float64]:
		blas64.Gemm(ta, tb, float64(alpha), raw64(a), raw64(b), float64(beta), raw64(c))
	}
}

// Raw returns m, which must be in single precision, as a matrix of blas32 that shares its
// data.
func Raw[T Real](m General[T]) blas32.General { return blas32.General(any(m).(General[float32])) }

// raw64 returns m, which must be in double precision, as a matrix of blas64 that shares its
// data.
func raw64[T Real](m General[T]) blas64.General {
	return blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: any(m.Data).([]float64)}
}

// Project returns x·wᵀ, [T × n]: the outputs of a linear layer with weights w, [n × d], for
// the inputs x, [T × d].
func Project(x, w Matrix) Matrix {
	y := New(x.Rows, w.Rows)
	ProjectTo(y, x, w)
	return y
}

// ProjectTo sets y, [T × n], to x·wᵀ.
func ProjectTo(y, x, w Matrix) { Product(y, blas.NoTrans, x, blas.Trans, w, 1, 0) }
