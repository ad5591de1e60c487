import{a as t}from"./chunk-B3RKZ4HT.js";t({base:"/webclients/projects",title:"Projects",pages:[[/^\/$/,()=>import("./chunk-AHHICLRM.js")],[/^\/(?<id>\d{1,20})$/,()=>import("./chunk-2CKDFJAW.js")]]});
