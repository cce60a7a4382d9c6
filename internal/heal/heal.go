package heal

// Steps is how many steps healing a layer takes; 0: layers are not healed.
type Steps int

// Auto is as many steps as the held-out error gets better by.
const Auto Steps = -1
