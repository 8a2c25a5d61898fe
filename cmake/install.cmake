# What `cmake --install` puts where: component `programs` the commands, their documents, licences and ready
# configurations; component `development` libhardmoe.a, its header and what find_package(hardmoe) reads.
include(CMakePackageConfigHelpers)

# The rooms below the commands as one archive. It compiles nothing: its objects are the rooms'.
set(library_rooms base tensor gpu image nn data ingest cluster engine train moe tasks)
list(TRANSFORM library_rooms REPLACE "(.+)" "$<TARGET_OBJECTS:hardmoe_\\1>" OUTPUT_VARIABLE library_objects)
add_library(hardmoe STATIC ${library_objects})
set_target_properties(hardmoe PROPERTIES LINKER_LANGUAGE CXX)
# What linking it takes; hardmoeConfig.cmake finds the targets. Libraries without a CMake package go by their
# names, not by where they are here.
target_link_libraries(hardmoe PRIVATE Threads::Threads OpenMP::OpenMP_CXX fmt::fmt OpenSSL::Crypto yaml-cpp
  JPEG::JPEG PNG::PNG ZLIB::ZLIB EXPAT::EXPAT BZip2::BZip2 DNNL::dnnl -lutf8proc -lwebp -lzstd
  ${CMAKE_DL_LIBS})
if(HARDMOE_HAS_CUDA)
  target_link_libraries(hardmoe PRIVATE CUDA::cudart_static)
  set(HARDMOE_CUDA_PACKAGE CUDAToolkit)
endif()

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/hardmoe)
install(TARGETS hardmoe EXPORT hardmoeTargets ARCHIVE COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT hardmoeTargets NAMESPACE hardmoe:: DESTINATION ${config_folder} COMPONENT development)
configure_package_config_file(cmake/hardmoeConfig.cmake.in ${PROJECT_BINARY_DIR}/hardmoeConfig.cmake
  INSTALL_DESTINATION ${config_folder} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hardmoeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hardmoeConfig.cmake ${PROJECT_BINARY_DIR}/hardmoeConfigVersion.cmake
        DESTINATION ${config_folder} COMPONENT development)
install(FILES lib/tasks/tagger.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hardmoe COMPONENT development)

# Documents keep their places beside one another, so that links between them lead somewhere.
install(FILES README.md CHANGELOG.md CONTRIBUTING.md THIRD-PARTY.md LICENSE third_party/copyright
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(DIRECTORY configs datasets DESTINATION ${CMAKE_INSTALL_DATADIR}/hardmoe COMPONENT programs
        PATTERN "__pycache__" EXCLUDE)
file(RELATIVE_PATH to_data ${CMAKE_INSTALL_FULL_DOCDIR} ${CMAKE_INSTALL_FULL_DATADIR}/hardmoe)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/links)
foreach(folder configs datasets)
  file(CREATE_LINK ${to_data}/${folder} ${PROJECT_BINARY_DIR}/links/${folder} SYMBOLIC)
  install(FILES ${PROJECT_BINARY_DIR}/links/${folder} DESTINATION ${CMAKE_INSTALL_DOCDIR}
          COMPONENT programs)
endforeach()
# Manual pages and completions of shells, where the commands write them.
add_dependencies(commands manuals)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATADIR} COMPONENT programs
        OPTIONAL)
