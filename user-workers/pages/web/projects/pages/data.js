/** Example data; ids are text, since they may have more digits than a number holds. */
export const PROJECTS = [
  { id: "1001", name: "Harbour Street Library", place: "Bristol", stage: "Structure", done: 62, budget: "£ 14.2 m" },
  { id: "1002", name: "North Quay Housing", place: "Leeds", stage: "Foundations", done: 21, budget: "£ 38.0 m" },
  { id: "1003", name: "St Anne's School, new hall", place: "York", stage: "Fit-out", done: 88, budget: "£ 6.7 m" },
  { id: "1004", name: "Mill Lane Bridge", place: "Durham", stage: "Design", done: 9, budget: "£ 11.5 m" },
  { id: "1005", name: "Riverside Clinic", place: "Cardiff", stage: "Structure", done: 47, budget: "£ 22.9 m" },
  { id: "9007199254740993", name: "Depot 7", place: "Hull", stage: "Handover", done: 100, budget: "£ 3.1 m" },
]
